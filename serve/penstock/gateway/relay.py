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
    EngineFailedError,
    EngineRefusedError,
    EngineTooSlowError,
    GatewayError,
    UnavailableError,
)
from penstock.gateway.headers import LAYER, first, to_client, to_engine
from penstock.gateway.metrics import Metrics
from penstock.gateway.pool import LeasePool, Lent
from penstock.gateway.usage import TAIL, find_usage

logger = logging.getLogger(__name__)

_LAST_CHUNKS = 4
"""Chunks that are remembered to find the usage in: the last ones of a stream are its usage and its end mark."""

_LARGEST_ERROR = 2**16


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

    async def run(self, call: Call, pool: LeasePool, path: str, body: bytes, content_type: bytes) -> None:
        """Answer the call with what an engine says. Leaves the answer incomplete where the engine broke it off.

        Raises:
            GatewayError: no engine answered; nothing was sent to the client.
        """
        target = path + (f"?{call.query.decode('latin-1')}" if call.query else "")
        reasons = []
        while call.attempts < self._settings.attempts:
            lent = await pool.acquire()
            call.attempts += 1
            broken = False
            try:
                await self._attempt(call, lent, target, body, content_type)
            except EngineBrokeError as error:
                broken = True
                reasons.append(error.reason)
                self._metrics.error("engine", error.reason)
                self._note(call, lent, error)
                if call.status:
                    return
            else:
                return
            finally:
                pool.release(lent, broken=broken)
        raise EngineFailedError(
            f"{len(reasons)} replicas of {call.model!r} did not answer ({', '.join(reasons)}), which is as many as"
            " gateway.attempts allows. Send the request again; `penstock status` says how the replicas are.",
            code="engine_unreachable",
        )

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
            if not call.status:
                raise slow from None
            await self._break_off(call, answer, slow, last)
        except EngineBrokeError as error:
            if call.status:
                cut = EngineFailedError(
                    f"The engine broke off in the middle of its answer ({error.reason}). Send the request again.",
                    code="engine_stream_interrupted",
                )
                await self._break_off(call, answer, cut, last)
            raise
        except asyncio.CancelledError:
            if call.status and not call.client_gone:
                self._metrics.error("gateway", "shutting_down")
                await self._break_off(call, answer, _stopping(), last)
            raise
        finally:
            if answer is not None:
                answer.close()

    async def _pass_on(self, call: Call, answer: EngineAnswer, last: deque[bytes]) -> None:
        # The head waits for the first bytes: until the client has seen something, another replica may be tried.
        chunk = await answer.read()
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
        if content_type is not None and content_type.startswith(b"text/event-stream"):
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


def _stopping() -> UnavailableError:
    return UnavailableError(
        "This gateway stopped before the answer was whole. Send the request again.", code="shutting_down"
    )
