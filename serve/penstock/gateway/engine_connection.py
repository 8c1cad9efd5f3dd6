"""One connection to an engine: HTTP/1.1 on httptools, one request at a time. Made by `engine_client`.

Own code because of what it costs: every token of every stream passes here (docs/performance.md has the numbers). It
does what the relay needs and no more: POST with a known length, and the bytes of the answer as they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import httptools

from penstock.gateway.headers import Header

Reason = Literal["refused", "connect_timeout", "died", "nonsense"]

BUFFERED = 2**18
"""Bytes that wait for the relay before the connection stops reading: a slow client slows its engine, not our memory."""

MOST_HEADERS = 256
LARGEST_HEAD = 2**16

Sink = Callable[[bytes], "asyncio.Future[None] | None"]
"""Takes bytes at once; the future is done when there is room for more, None if there is now."""


class EngineBrokeError(Exception):
    """The engine refused the connection, went away, or does not speak HTTP. `relay` decides what it means."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason


class EngineConnection(asyncio.Protocol):
    """See the module's text.

    Args:
        on_free: called when the connection may take another request.
        on_lost: called when it is gone.
    """

    def __init__(
        self, on_free: Callable[[EngineConnection], None], on_lost: Callable[[EngineConnection], None]
    ) -> None:
        self.answer: Answer | None = None
        self.free_since = 0.0
        """When it became free, on the loop's clock."""
        self.used = False
        """Whether a request was answered on it before: then the engine may be closing it just now."""
        self._on_free = on_free
        self._on_lost = on_lost
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anything else is called
        self._parser: Any = None
        self._headers: list[Header] = []
        self._head_size = 0

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def send(self, data: bytes) -> Answer:
        """Send a whole request. The connection must be free."""
        self.answer = Answer(self)
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(data)
        return self.answer

    def close(self) -> None:
        """Cut it; an answer that is not whole breaks."""
        self._transport.abort()

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass of asyncio.Transport

    def data_received(self, data: bytes) -> None:
        if self.answer is None:
            self.close()  # nobody asked
            return
        if not self.answer.begun:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._lose(cause if isinstance(cause, EngineBrokeError) else EngineBrokeError("nonsense", str(error)))
            self.close()
        else:
            if not self._head_read() and self._head_size > LARGEST_HEAD:
                self._lose(_head_too_large())
                self.close()

    def _head_read(self) -> bool:
        return self.answer is None or self.answer.begun

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(EngineBrokeError("died", str(exc) if exc else "the engine closed the connection"))
        self._on_lost(self)

    def _lose(self, error: EngineBrokeError) -> None:
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.lose(error)

    def hold_back(self, *, hold: bool) -> None:
        """Stop or go on reading."""
        if not self._transport.is_closing():
            (self._transport.pause_reading if hold else self._transport.resume_reading)()

    # Parser

    def on_message_begin(self) -> None:
        self._headers = []
        self._head_size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if len(self._headers) >= MOST_HEADERS or self._head_size > LARGEST_HEAD:
            raise _head_too_large()
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.answer is not None and status >= 200:
            self.answer.begin(status, self._headers)

    def on_body(self, body: bytes) -> None:
        if self.answer is not None:
            self.answer.feed(body)

    def on_message_complete(self) -> None:
        if self.answer is None or not self.answer.begun:
            return  # 100 Continue and the like
        answer, self.answer = self.answer, None
        reusable = self._parser.should_keep_alive()
        answer.end()
        if reusable and self.open:
            self.used = True
            self._on_free(self)
        else:
            self._transport.close()


class Answer:
    """An answer of an engine. Implements `EngineAnswer` once `head` has returned."""

    __slots__ = (
        "_chunks", "_complete", "_connection", "_error", "_held_back", "_sink", "_size", "_wake", "begun", "headers",
        "status",
    )  # fmt: skip

    def __init__(self, connection: EngineConnection) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.begun = False
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._complete = False
        self._held_back = False
        self._sink: Sink | None = None
        self._error: EngineBrokeError | None = None
        self._wake: asyncio.Future[None] | None = None

    # From the connection

    def begin(self, status: int, headers: list[Header]) -> None:
        self.status, self.headers, self.begun = status, headers, True
        self._rouse()

    def feed(self, data: bytes) -> None:
        if self._sink is not None:
            self._hand_on(self._sink, data)
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > BUFFERED and not self._held_back:
            self._held_back = True
            self._connection.hold_back(hold=True)
        self._rouse()

    def _hand_on(self, sink: Sink, data: bytes) -> None:
        room = sink(data)
        if room is not None and not self._held_back:
            self._held_back = True
            self._connection.hold_back(hold=True)
            room.add_done_callback(self._go_on)

    def _go_on(self, _: asyncio.Future[None]) -> None:
        self._release()

    def _release(self) -> None:
        if self._held_back:
            self._held_back = False
            self._connection.hold_back(hold=False)

    def end(self) -> None:
        self._complete = True
        self._release()
        self._rouse()

    def lose(self, error: EngineBrokeError) -> None:
        if self.begun and error.reason == "died" and _ends_with_connection(self.status, self.headers):
            self._complete = True
        else:
            self._error = error
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
            self._wake = None

    # For the relay

    async def head(self) -> None:
        """Wait for the head. Raises EngineBrokeError."""
        while not self.begun:
            await self._progress()

    async def read(self) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its end. Raises EngineBrokeError."""
        while not self._chunks:
            if self._complete:
                return b""
            self._release()
            await self._progress()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._release()
        return data

    async def hand_on(self, sink: Sink) -> None:
        """Give the rest of the body to `sink`, as soon as it comes and without waking a task for it; returns at the
        end of the body. Nothing is read from the engine while the sink has no room. Raises EngineBrokeError."""
        for data in self._chunks:
            self._hand_on(sink, data)
        self._chunks.clear()
        self._size = 0
        self._sink = sink
        try:
            while not self._complete:
                await self._progress()
        finally:
            self._sink = None

    def close(self) -> None:
        """Done with it. Cuts the connection unless the body came to its end, which cancels the engine's work."""
        if not self._complete and self._error is None:
            self._connection.close()

    async def _progress(self) -> None:
        if self._error is not None:
            raise self._error
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake


def _ends_with_connection(status: int, headers: list[Header]) -> bool:
    return status not in (204, 304) and not any(
        name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower())
        for name, value in headers
    )


def _head_too_large() -> EngineBrokeError:
    return EngineBrokeError("nonsense", f"the head of its answer is larger than {LARGEST_HEAD} bytes")
