"""One answer on its way from an engine to several clients. Used by `caching`.

The engine is asked in a task of its own, for a call of its own: so no client's leaving ends it while another waits, and
when the last one has left, the engine is told to stop. What the engine has used is counted for the first client that is
still there in the end, and for nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from penstock.gateway.attempt import EVENT_STREAM, stopping
from penstock.gateway.call import Call
from penstock.gateway.errors import EngineFailedError, GatewayError
from penstock.gateway.headers import CACHE, Header, first
from penstock.gateway.heartbeat import Heartbeat
from penstock.gateway.usage import Usage

WINDOW: Final = 2**18
"""Bytes by which an answer that is not kept may be ahead of the fastest of its clients."""

_FAULTS_OF_THE_REQUEST: Final = frozenset({400, 404, 413, 422})
"""Whoever asks the same is told the same."""


class Reader:
    """A client that waits for an answer."""

    __slots__ = ("at", "call", "taken", "wake")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.at = 0
        """Number of the next piece."""
        self.taken = 0
        """Bytes that it has."""
        self.wake: asyncio.Future[None] | None = None


class Shadow(Call):
    """The call that the engine is asked for. Its answer goes into a flight.

    Args:
        call: of the client that came first.
        flight: where the answer goes.
    """

    def __init__(self, call: Call, flight: Flight) -> None:
        scope = {
            "method": call.method,
            "path": call.path,
            "raw_path": call.raw_path,
            "query_string": call.query,
            "headers": call.headers,
        }
        super().__init__(scope, call.receive, flight.refuse_messages)
        self.request_id, self.dialect = call.request_id, call.dialect
        self.account, self.line = call.account, call.line
        self.model, self.endpoint = call.model, call.endpoint
        self.common = []
        self._flight = flight

    async def start(self, status: int, headers: list[Header]) -> None:
        """See `Call`."""
        self.status = status
        self._flight.begin(status, [*headers, *self.common])

    async def reassure(self, text: str) -> None:
        """Nothing: each client gets signs of life of its own."""

    async def write(self, chunk: bytes) -> None:
        """See `Call`."""
        self.sent += len(chunk)
        await self._flight.feed(chunk)

    async def finish(self, chunk: bytes = b"") -> None:
        """See `Call`."""
        if chunk:
            await self.write(chunk)
        self.complete = True


class Flight:
    """Belongs to one event loop.

    Args:
        call: of the client that came first; it is a reader from the start.
        largest: bytes of an answer that is kept whole. Pieces of a larger one are forgotten once all readers have them.
        on_closed: called once, when nobody may join any more.
    """

    def __init__(self, call: Call, largest: int, on_closed: Callable[[], None]) -> None:
        self.shadow = Shadow(call, self)
        self.leader = Reader(call)
        self.word = b"miss"
        """What the first client is told of the cache."""
        self.status = 0
        self.headers: list[Header] = []
        self.failure: BaseException | None = None
        self.too_large = False
        self.done = False
        self._largest = largest
        self._on_closed = on_closed
        self._pieces: list[bytes] = []
        self._forgotten = 0
        self._size = 0
        self._readers: dict[Reader, None] = {self.leader: None}
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def body(self) -> bytes:
        """All of it, where it is not too large."""
        return b"".join(self._pieces)

    # From the engine's side

    def start(self, work: Callable[[Flight], Awaitable[None]]) -> None:
        """Let it be answered; `work` gives the answer to the shadow, or to `begin` and `feed`, or raises."""
        self._task = asyncio.get_running_loop().create_task(self._run(work), name="cache-flight")

    async def _run(self, work: Callable[[Flight], Awaitable[None]]) -> None:
        try:
            await work(self)
        except asyncio.CancelledError:
            self.failure = stopping()
        except Exception as error:  # noqa: BLE001  # the first client's task raises it again
            self.failure = error
        finally:
            self.done = True
            self._close()
            payer = next(iter(self._readers), None)
            if payer is not None:
                self._settle(payer.call)
            self._rouse()

    def begin(self, status: int, headers: list[Header]) -> None:
        """The head of the answer."""
        self.status, self.headers = status, headers
        self.leader.call.held = self.shadow.held
        self._rouse()

    async def feed(self, chunk: bytes) -> None:
        """Bytes of the body. Returns when there is room for more."""
        self._pieces.append(chunk)
        self._size += len(chunk)
        if not self.too_large and self._size > self._largest:
            self.too_large = True
            self._close()
        self._rouse()
        while self.too_large and self._readers and self._size - max(r.taken for r in self._readers) > WINDOW:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def refuse_messages(self, _: object) -> None:
        """The shadow sends nothing to anybody."""
        raise NotImplementedError

    # From the clients' side

    def join(self, call: Call) -> Reader:
        """Wait for the answer too; `follow` comes next."""
        reader = Reader(call)
        self._readers[reader] = None
        return reader

    async def follow(self, reader: Reader, heartbeat: float | None) -> bool:
        """Pass the answer on to a reader's client, as far as it comes.

        Args:
            heartbeat: seconds between two signs of life, where its stream gets any.

        Returns False where a client that joined must ask for itself: nothing came that it should have. Of the first
        client that failure is raised.
        """
        call, leads = reader.call, reader is self.leader
        beating = Heartbeat(call, heartbeat) if heartbeat else None
        if beating is not None:
            beating.wait()
        try:
            while not self.status and not self.done:
                await self._change(reader)
            if beating is not None:
                beating.stop()
            if not self.status:
                if leads and self.failure is not None:
                    raise self.failure
                return False
            if not leads and self.status >= 400 and self.status not in _FAULTS_OF_THE_REQUEST:
                return False
            await self._pass_on(reader)
        except asyncio.CancelledError:
            if call.begun and not call.client_gone and self._is_stream:
                with contextlib.suppress(asyncio.CancelledError):
                    await call.break_off(stopping(), after=self._pieces[-1] if self._pieces else b"\n\n")
            raise
        finally:
            if beating is not None:
                beating.stop()
            await self._leave(reader)
        return True

    @property
    def _is_stream(self) -> bool:
        return (first(self.headers, b"content-type") or b"").startswith(EVENT_STREAM)

    async def _pass_on(self, reader: Reader) -> None:
        call = reader.call
        if self.status >= 400:
            # In one piece, because a stream that is open already is told of it by an event.
            while not self.done:
                await self._change(reader)
            lines = [line for line in self.headers if line[0] != b"content-length"]
            await call.respond(self.status, lines, self.body)
            return
        if call.opened and not self._is_stream:
            raise EngineFailedError("The engine answered a request for a stream with something else.")
        call.common.append((CACHE, self.word if reader is self.leader else b"joined"))
        if reader is not self.leader or self.word != b"miss":
            call.usage = call.usage or Usage()
        await call.start(self.status, self.headers)
        await self._pass_pieces(reader)
        if self.shadow.complete:
            await call.finish()
        elif isinstance(self.failure, GatewayError) or self.shadow.error_code:
            # Its stream has the error's event already, and is cut.
            call.error_code = self.shadow.error_code or getattr(self.failure, "code", None)
        elif self.failure is not None and reader is self.leader:
            raise self.failure

    async def _pass_pieces(self, reader: Reader) -> None:
        call = reader.call
        while True:
            pieces = self._pieces[reader.at - self._forgotten :]
            if pieces:
                reader.at += len(pieces)
                chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                await call.write(chunk)
                reader.taken += len(chunk)
                self._forget()
            elif self.done:
                return
            else:
                await self._change(reader)

    def _forget(self) -> None:
        if self.too_large:
            behind = min(reader.at for reader in self._readers)
            del self._pieces[: behind - self._forgotten]
            self._forgotten = max(behind, self._forgotten)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _leave(self, reader: Reader) -> None:
        self._readers.pop(reader, None)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._readers or self.done or self._task is None:
            return
        # Nobody waits any more: the engine is stopped, and says what it has used.
        self._close()
        self.shadow.client_gone = True
        self._task.cancel()
        await asyncio.wait([self._task])
        self._settle(reader.call)

    def _settle(self, call: Call) -> None:
        """What was used is this call's."""
        shadow = self.shadow
        call.usage, call.attempts = shadow.usage, shadow.attempts
        call.provider, call.fallback, call.answered_by = shadow.provider, shadow.fallback, shadow.answered_by

    # Both

    def _close(self) -> None:
        on_closed, self._on_closed = self._on_closed, _nothing
        on_closed()

    def _rouse(self) -> None:
        for reader in self._readers:
            if reader.wake is not None and not reader.wake.done():
                reader.wake.set_result(None)

    async def _change(self, reader: Reader) -> None:
        reader.wake = asyncio.get_running_loop().create_future()
        await reader.wake


def _nothing() -> None:
    pass
