"""One request to one replica and its answer back, byte by byte. Used by `relay`."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from penstock import config
from penstock.gateway.answers import engine_error_body
from penstock.gateway.call import Call
from penstock.gateway.engine_client import EngineAnswer, EngineClient
from penstock.gateway.engine_connection import EngineBrokeError
from penstock.gateway.errors import (
    EngineAnsweredError,
    EngineFailedError,
    EngineRefusedError,
    EngineTooSlowError,
    GatewayError,
    UnavailableError,
)
from penstock.gateway.headers import LAYER, first, to_client, to_engine
from penstock.gateway.last_words import are_last_words
from penstock.gateway.leases import Replica
from penstock.gateway.meter import LAST_CHUNKS, Meter
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers.choice import may_go_elsewhere
from penstock.gateway.settling import settle
from penstock.gateway.usage import TAIL, Usage, find_usage

_LARGEST_ERROR = 2**16

EVENT_STREAM = b"text/event-stream"


@dataclass(frozen=True, slots=True)
class Count:
    """How a request's tokens are counted to the last one."""

    engine_id: str
    """Under which the engine knows it. No other request has it, whatever ids clients choose: where one is told to stop,
    no other is."""
    strips: bool
    """Whether the usage is taken out of the stream."""


@dataclass(frozen=True, slots=True)
class Request:
    """What engines are asked."""

    target: str
    """The path, with its query."""
    body: bytes
    content_type: bytes
    streams: bool = False
    """Whether the client asked for a stream of events."""
    count: Count | None = None
    """None where it is enough to look at the ends of answers."""
    holds_back: bool = False
    """Whether an error that a fallback may help against is raised instead of being passed on."""


async def attempt(
    client: EngineClient, settings: config.Gateway, metrics: Metrics, call: Call, *, replica: Replica, request: Request
) -> None:
    """Answer the call with what the engine says. Leaves the answer incomplete where the engine broke it off.

    Raises:
        GatewayError: the engine's answer is none for the client; nothing was sent to the client.
        EngineBrokeError: the engine broke off, before or after something was sent to the client.
    """
    tried = _Attempt(client, settings, metrics, call, request)
    try:
        async with asyncio.timeout(settings.longest_request):
            await tried.ask(replica)
    except TimeoutError:
        metrics.error("engine", "timeout")
        slow = EngineTooSlowError(
            f"The engine took longer than {settings.longest_request:g} s, which is as long as gateway.longestRequest"
            " allows."
        )
        if call.begun:
            await tried.break_off(slow)
        await tried.leave(replica)
        if not call.begun:
            raise slow from None
    except EngineBrokeError as error:
        if call.begun:
            cut = EngineFailedError(
                f"The engine broke off in the middle of its answer ({error.reason}). Send the request again.",
                code="engine_stream_interrupted",
            )
            await tried.break_off(cut)
            tried.guess()
        raise
    except asyncio.CancelledError:
        if call.begun and not call.client_gone:
            metrics.error("gateway", "shutting_down")
            await tried.break_off(stopping())
        await tried.leave(replica)
        raise
    finally:
        tried.close()


class _Attempt:
    def __init__(
        self, client: EngineClient, settings: config.Gateway, metrics: Metrics, call: Call, request: Request
    ) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics
        self._call = call
        self._request = request
        # Of a whole answer the meter remembers more.
        whole = request.count is not None and not request.streams
        self._last: deque[bytes] = deque(maxlen=None if whole else LAST_CHUNKS)
        self._meter: Meter | None = None
        if request.count is not None:
            self._meter = Meter(self._last, streams=request.streams, strips=request.count.strips)
        self._sending: asyncio.Task[EngineAnswer] | None = None
        self._answer: EngineAnswer | None = None

    async def ask(self, replica: Replica) -> None:
        """Send the request, and pass the answer on."""
        request, count = self._request, self._request.count
        headers = to_engine(
            self._call.headers,
            replica=replica,
            body_length=len(request.body),
            content_type=request.content_type,
            request_id=self._call.request_id if count is None else count.engine_id.encode("latin-1"),
        )
        work = self._client.send(replica, request.target, headers, request.body)
        if count is None:
            self._answer = await work
        else:
            # Not cut off with its request, so that the engine can still say what it has used.
            self._sending = asyncio.ensure_future(work)
            self._answer = await asyncio.shield(self._sending)
        if self._answer.status >= 400:
            await self._pass_error(self._answer)
        elif self._meter is None:
            await self._pass_on(self._answer)
        else:
            await self._count_and_pass_on(self._answer, self._meter)

    async def leave(self, replica: Replica) -> None:
        """Nobody waits for the answer any more. Where it is counted, find out what it has used."""
        if self._sending is None or self._meter is None or self._request.count is None:
            return
        engine_id = self._request.count.engine_id.encode("latin-1")
        sending, self._answer = self._sending, None
        ended = await settle(self._client, replica, engine_id, self._call.endpoint, sending=sending, meter=self._meter)
        self._used(self._meter.usage(aborted=True))
        if not ended and self._call.usage is None:
            self.guess()

    def guess(self) -> None:
        """Where it is counted: the engine did not say what it has used."""
        if self._meter is not None:
            self._used(self._meter.guess(len(self._request.body)))

    def close(self) -> None:
        """Cut off the engine, unless its answer is over."""
        if self._answer is not None:
            self._answer.close()

    async def break_off(self, error: GatewayError) -> None:
        """End what the client has of a stream with an error."""
        self._call.error_code = error.code
        content_type = first(self._answer.headers, b"content-type") if self._answer is not None else None
        if content_type is not None and content_type.startswith(EVENT_STREAM):
            await self._call.break_off(error, after=self._last[-1] if self._last else b"\n\n")

    async def _begin(self, answer: EngineAnswer) -> bytes:
        # The head waits for the first bytes: until the client has seen something, another replica may be tried.
        chunk = await answer.read()
        if are_last_words(chunk):
            raise _dead()
        if self._call.opened and not (first(answer.headers, b"content-type") or b"").startswith(EVENT_STREAM):
            raise EngineFailedError("The engine answered a request for a stream with something else.")
        await self._call.start(answer.status, to_client(answer.headers))
        return chunk

    async def _pass_on(self, answer: EngineAnswer) -> None:
        call, last = self._call, self._last
        chunk = await self._begin(answer)
        last.append(chunk)
        await call.write(chunk)
        if (pass_on := call.pass_on) is not None:

            def note_and_pass_on(chunk: bytes) -> asyncio.Future[None] | None:
                last.append(chunk)
                call.sent += len(chunk)
                return pass_on(chunk)

            await answer.hand_on(note_and_pass_on)
        else:
            while chunk := await answer.read():
                last.append(chunk)
                await call.write(chunk)
        await call.finish()
        self._used(find_usage(b"".join(last)[-TAIL:]))

    async def _count_and_pass_on(self, answer: EngineAnswer, meter: Meter) -> None:
        call = self._call
        chunk = await self._begin(answer)
        await call.write(meter.feed(chunk))
        if (pass_on := call.pass_on) is not None:

            def count_and_pass_on(chunk: bytes) -> asyncio.Future[None] | None:
                shown = meter.feed(chunk)
                if not shown:
                    return None
                call.sent += len(shown)
                return pass_on(shown)

            await answer.hand_on(count_and_pass_on)
        else:
            while chunk := await answer.read():
                if shown := meter.feed(chunk):
                    await call.write(shown)
        self._used(meter.usage())
        await call.finish(meter.rest())

    async def _pass_error(self, answer: EngineAnswer) -> None:
        """The engine's own errors are the client's, in the form that clients read; but not what is between us."""
        parts, size = [], 0
        while (chunk := await answer.read()) and size < _LARGEST_ERROR:
            parts.append(chunk)
            size += len(chunk)
        body = b"".join(parts)
        if answer.status == 500 and are_last_words(body):
            raise _dead()
        if answer.status in (401, 403, 407):
            self._metrics.error("engine", "token_refused")
            raise EngineFailedError(
                "The engine does not accept the gateway's token, so it is not the one that the gateway was told of."
                " Send the request again; if it goes on, restart the model.",
                code="engine_token_refused",
            )
        if answer.status >= 500:
            self._metrics.error("engine", "status")
        said = engine_error_body(body, answer.status, self._call.dialect)
        if said is None:
            raise EngineRefusedError(answer.status, body[:1000].decode("utf-8", errors="replace").strip())
        headers = [header for header in to_client(answer.headers) if header[0] != b"content-length"]
        headers.append((LAYER, b"engine"))
        if self._request.holds_back and not self._call.opened and may_go_elsewhere(answer.status, said):
            raise EngineAnsweredError(answer.status, headers, said)
        await self._call.respond(answer.status, headers, said)

    def _used(self, usage: Usage | None) -> None:
        if usage is not None:
            self._call.usage = usage
            self._metrics.counted(self._call.model, usage)


def _dead() -> EngineBrokeError:
    return EngineBrokeError("died", "its server says that its core is dead")


def stopping() -> UnavailableError:
    """What ends the streams of a gateway that stops."""
    return UnavailableError(
        "This gateway stopped before the answer was whole. Send the request again.", code="shutting_down"
    )
