"""One request to an engine and its answer back, byte by byte; again elsewhere if nothing came. Used by `app`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from penstock import config
from penstock.gateway.answers import engine_error_body
from penstock.gateway.call import Call
from penstock.gateway.engine_client import EngineAnswer, EngineClient
from penstock.gateway.engine_connection import EngineBrokeError
from penstock.gateway.errors import (
    EngineCrashedError,
    EngineFailedError,
    EngineRefusedError,
    EngineTooSlowError,
    GatewayError,
    UnavailableError,
)
from penstock.gateway.headers import LAYER, first, to_client, to_engine
from penstock.gateway.heartbeat import STREAMED, Heartbeat
from penstock.gateway.last_words import are_last_words
from penstock.gateway.metrics import HeldOutcome, Metrics
from penstock.gateway.pool import LeasePool, Lent
from penstock.gateway.tries import Tries
from penstock.gateway.usage import TAIL, find_usage
from penstock.gateway.waiting import MOMENT

logger = logging.getLogger(__name__)

_LAST_CHUNKS = 4
"""Chunks that are remembered to find the usage in: the last ones of a stream are its usage and its end mark."""

_LARGEST_ERROR = 2**16

EVENT_STREAM = b"text/event-stream"


class Relay:
    """Sends requests to the replicas that a pool lends.

    Args:
        client: connections to engines.
        settings: limits.
        metrics: where errors and tokens are counted.
    """

    def __init__(self, client: EngineClient, settings: config.Gateway, metrics: Metrics) -> None:
        self._client = client
        self._settings = settings
        self._metrics = metrics

    async def run(
        self, call: Call, pool: LeasePool, path: str, body: bytes, content_type: bytes, *, streams: bool = False
    ) -> None:
        """Answer the call with what an engine says. Leaves the answer incomplete where the engine broke it off.

        Args:
            streams: whether the client asked for a stream of events.

        Raises:
            GatewayError: no engine answered; nothing of an answer was sent to the client.
        """
        target = path + (f"?{call.query.decode('latin-1')}" if call.query else "")
        interval = self._settings.hold.heartbeat
        heartbeat = Heartbeat(call, interval) if interval and streams and call.endpoint in STREAMED else None
        tries = Tries(call.model, self._settings.attempts)
        try:
            while (refusal := tries.refusal()) is None:
                lent = await self._lend(call, pool, heartbeat)
                call.attempts += 1
                broken = False
                try:
                    await self._attempt(call, lent, target, body, content_type)
                except EngineBrokeError as error:
                    broken = True
                    tries.note(lent.replica_id, error.reason)
                    self._metrics.error("engine", error.reason)
                    self._note(call, lent, error)
                    if call.begun:
                        return
                else:
                    return
                finally:
                    pool.release(lent, broken=broken)
        finally:
            if heartbeat is not None:
                heartbeat.stop()
        if isinstance(refusal, EngineCrashedError):
            self._accuse(call, tries.crashed)
        raise refusal

    async def _lend(self, call: Call, pool: LeasePool, heartbeat: Heartbeat | None) -> Lent:
        if heartbeat is not None:
            heartbeat.wait()
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome: HeldOutcome = "left"
        try:
            lent = await pool.acquire(again=call.attempts > 0, waited=call.held)
            outcome = "served"
        except GatewayError:
            outcome = "refused"
            raise
        finally:
            waited = loop.time() - began
            call.held += waited
            if waited > MOMENT:
                self._metrics.held(call.model, outcome, waited)
        if heartbeat is not None:
            heartbeat.served()
        return lent

    async def _attempt(self, call: Call, lent: Lent, target: str, body: bytes, content_type: bytes) -> None:
        headers = to_engine(
            call.headers,
            replica=lent.lease.replica,
            body_length=len(body),
            content_type=content_type,
            request_id=call.request_id,
        )
        last: deque[bytes] = deque(maxlen=_LAST_CHUNKS)
        answer: EngineAnswer | None = None
        try:
            async with asyncio.timeout(self._settings.longest_request):
                answer = await self._client.send(lent.lease.replica, target, headers, body)
                if answer.status >= 400:
                    await self._pass_error(call, answer)
                else:
                    await self._pass_on(call, answer, last)
        except TimeoutError:
            self._metrics.error("engine", "timeout")
            slow = EngineTooSlowError(
                f"The engine took longer than {self._settings.longest_request:g} s, which is as long as"
                " gateway.longestRequest allows."
            )
            if not call.begun:
                raise slow from None
            await self._break_off(call, answer, slow, last)
        except EngineBrokeError as error:
            if call.begun:
                cut = EngineFailedError(
                    f"The engine broke off in the middle of its answer ({error.reason}). Send the request again.",
                    code="engine_stream_interrupted",
                )
                await self._break_off(call, answer, cut, last)
            raise
        except asyncio.CancelledError:
            if call.begun and not call.client_gone:
                self._metrics.error("gateway", "shutting_down")
                await self._break_off(call, answer, _stopping(), last)
            raise
        finally:
            if answer is not None:
                answer.close()

    async def _pass_on(self, call: Call, answer: EngineAnswer, last: deque[bytes]) -> None:
        # The head waits for the first bytes: until the client has seen something, another replica may be tried.
        chunk = await answer.read()
        if are_last_words(chunk):
            raise _dead()
        if call.opened and not (first(answer.headers, b"content-type") or b"").startswith(EVENT_STREAM):
            raise EngineFailedError("The engine answered a request for a stream with something else.")
        await call.start(answer.status, to_client(answer.headers))
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
        if (usage := find_usage(b"".join(last)[-TAIL:])) is not None:
            self._metrics.counted(call.model, usage)

    async def _pass_error(self, call: Call, answer: EngineAnswer) -> None:
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
        said = engine_error_body(body, answer.status, call.dialect)
        if said is None:
            raise EngineRefusedError(answer.status, body[:1000].decode("utf-8", errors="replace").strip())
        headers = [header for header in to_client(answer.headers) if header[0] != b"content-length"]
        await call.respond(answer.status, [*headers, (LAYER, b"engine")], said)

    async def _break_off(
        self, call: Call, answer: EngineAnswer | None, error: GatewayError, last: deque[bytes]
    ) -> None:
        call.error_code = error.code
        content_type = first(answer.headers, b"content-type") if answer is not None else None
        if content_type is not None and content_type.startswith(EVENT_STREAM):
            await call.break_off(error, after=last[-1] if last else b"\n\n")

    def _note(self, call: Call, lent: Lent, error: EngineBrokeError) -> None:
        logger.warning(
            "engine broke",
            extra={
                "fields": {
                    "request_id": call.request_id.decode(),
                    "model": call.model,
                    "replica": lent.replica_id,
                    "error": str(error),
                    "attempt": call.attempts,
                    "bytes_sent": call.sent,
                }
            },
        )

    def _accuse(self, call: Call, crashed: list[str]) -> None:
        logger.error(
            "a request may crash engines, and is tried on no other",
            extra={
                "fields": {
                    "request_id": call.request_id.decode(),
                    "model": call.model,
                    "endpoint": call.endpoint,
                    "replicas": crashed,
                }
            },
        )


def _dead() -> EngineBrokeError:
    return EngineBrokeError("died", "its server says that its core is dead")


def _stopping() -> UnavailableError:
    return UnavailableError(
        "This gateway stopped before the answer was whole. Send the request again.", code="shutting_down"
    )
