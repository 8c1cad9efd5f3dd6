"""One request to one provider, and its answer back, byte by byte. Used by `upstreams`, one `ProviderDoor` a provider.

As with engines: nothing of an answer is sent to the client before its first bytes are here, and after them nobody else
is asked. Unlike engines: nothing is tried twice, because every try may cost money.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.config.providers import Provider
from penstock.gateway.answers import engine_error_body
from penstock.gateway.attempt import EVENT_STREAM, stopping
from penstock.gateway.call import Call
from penstock.gateway.errors import GatewayError, ProviderRefusedError
from penstock.gateway.headers import LAYER, first
from penstock.gateway.meter import LAST_CHUNKS, Meter
from penstock.gateway.metrics import Metrics
from penstock.gateway.providers import faults
from penstock.gateway.providers.breaker import Breaker, Pass
from penstock.gateway.providers.broken import ProviderBrokeError
from penstock.gateway.providers.keys import Key, KeyMissingError
from penstock.gateway.providers.metrics import Outcome, ProviderMetrics
from penstock.gateway.providers.requests import answer_lines, body_for, header_lines, target, without_secret

if TYPE_CHECKING:
    from penstock.gateway.providers.client import ProviderAnswer, ProviderClient

logger = logging.getLogger(__name__)

_LARGEST_ERROR = 2**16
_JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Plea:
    """What a client asks, before anything of ours is put in."""

    endpoint: str
    body: bytes
    streams: bool
    counts: bool
    """Whether its tokens are needed: for usage or for limits."""


class ProviderDoor:
    """The way to one provider: its connections, its key and its breaker. Belongs to one event loop.

    Args:
        name: as the document has it.
        provider: its settings.
        longest: seconds that one request may take.
        metrics: where tokens are counted.
        asked: where what came of requests is counted.
    """

    def __init__(
        self, name: str, provider: Provider, *, longest: float, metrics: Metrics, asked: ProviderMetrics
    ) -> None:
        self.name = name
        self.provider = provider
        self.breaker = Breaker(provider.breaker)
        self._client: ProviderClient | None = None
        self._key = Key(provider.key)
        self._longest = longest
        self._metrics = metrics
        self._asked = asked
        self._opening = asyncio.Lock()
        self._in_progress = 0
        self._one_done = asyncio.Event()

    async def close_when_done(self) -> None:
        """Close all connections once no request is in progress."""
        while self._in_progress:
            self._one_done.clear()
            await self._one_done.wait()
        if self._client is not None:
            await self._client.close()

    async def ask(self, call: Call, plea: Plea, model: str) -> None:
        """Answer the call with what the provider says. Leaves the answer incomplete where the provider broke it off.

        Args:
            model: the provider's name for it.

        Raises:
            GatewayError: the provider's answer is none for the client; nothing was sent to the client.
        """
        clock = asyncio.get_running_loop().time
        permission = self.breaker.enter(clock())
        if permission is None:
            self._asked.asked(self.name, "open")
            raise faults.left_alone(self.name, self.breaker.wait(clock()))
        exchange = _Exchange(self, call, plea, model)
        self._in_progress += 1
        try:
            async with asyncio.timeout(self._longest):
                await exchange.run(await self._key_text(), self._opened)
        except TimeoutError:
            exchange.outcome = "timeout"
            await exchange.end(faults.too_slow(self.name, self._longest))
        except asyncio.CancelledError:
            exchange.outcome = "left"
            if call.begun and not call.client_gone:
                await exchange.end(stopping())
            else:
                exchange.guess()
            raise
        finally:
            exchange.close()
            self._in_progress -= 1
            self._one_done.set()
            self._settle(permission, exchange.outcome, clock())

    async def _opened(self) -> ProviderClient:
        async with self._opening:
            if self._client is None:
                # aiohttp takes a fifth of a second to import, and most gateways have no provider.
                module = await asyncio.to_thread(importlib.import_module, "penstock.gateway.providers.client")
                self._client = await module.opened(self.provider)
            return self._client

    async def _key_text(self) -> str | None:
        try:
            return await self._key.text()
        except KeyMissingError as error:
            logger.error("no key for a provider", extra={"fields": {"provider": self.name, "error": str(error)}})  # noqa: TRY400
            raise faults.keyless(self.name) from None

    def _settle(self, permission: Pass, outcome: Outcome, now: float) -> None:
        self._asked.asked(self.name, outcome)
        failed = None if outcome == "left" else outcome in ("failed", "timeout", "interrupted")
        self.breaker.done(permission, failed=failed, now=now)

    def count(self, call: Call) -> None:
        """Tell Prometheus of the tokens of a call."""
        if call.usage is not None:
            self._metrics.counted(call.answered_by or call.model, call.usage)


class _Exchange:
    def __init__(self, door: ProviderDoor, call: Call, plea: Plea, model: str) -> None:
        self.outcome: Outcome = "failed"
        self._door = door
        self._call = call
        self._plea = plea
        asks = plea.counts and door.provider.tells_streams_usage
        self._body, strips = body_for(plea.body, model, endpoint=plea.endpoint, asks_usage=asks)
        self._last: deque[bytes] = deque(maxlen=LAST_CHUNKS if plea.streams else None)
        self._meter = Meter(self._last, streams=plea.streams, strips=strips)
        self._answer: ProviderAnswer | None = None

    async def run(self, key: str | None, opened: Callable[[], Awaitable[ProviderClient]]) -> None:
        """Send the request, and pass the answer on."""
        plea, name = self._plea, self._door.name
        lines = header_lines(key, self._door.provider.sends_key_in, streams=plea.streams)
        try:
            client = await opened()
            answer = self._answer = await client.send(target(plea.endpoint), lines, self._body)
            if (fault := faults.of_status(name, answer.status, answer.headers)) is not None:
                self.outcome = "limited" if answer.status == 429 else "failed"
                self._note(f"status {answer.status}")
                raise fault
            if answer.status >= 400:
                await self._pass_error(answer, key)
            else:
                await self._pass_on(answer)
        except ProviderBrokeError as error:
            self._note(str(error))
            self.outcome = "timeout" if error.fault == "timeout" else "failed"
            if not self._call.begun:
                raise faults.broke(name, error) from error
            self.outcome = "interrupted"
            await self.end(faults.interrupted(name))

    async def _pass_on(self, answer: ProviderAnswer) -> None:
        call, meter = self._call, self._meter
        wanted = EVENT_STREAM if self._plea.streams else _JSON
        if not (first(answer.headers, b"content-type") or b"").strip().lower().startswith(wanted):
            self._note("content type")
            raise faults.nonsense(self._door.name, streams=self._plea.streams)
        chunk = await answer.read()
        if not chunk:
            raise ProviderBrokeError("broken", "an empty answer")
        await call.start(answer.status, answer_lines(answer.headers))
        while chunk:
            if shown := meter.feed(chunk):
                await call.write(shown)
            chunk = await answer.read()
        self.outcome = "answered"
        self._count(aborted=False)
        await call.finish(meter.rest())

    async def _pass_error(self, answer: ProviderAnswer, key: str | None) -> None:
        """The provider says what is wrong with the request: that is for the client."""
        parts, size = [], 0
        while size < _LARGEST_ERROR and (chunk := await answer.read()):
            parts.append(chunk)
            size += len(chunk)
        self.outcome = "refused"
        body = without_secret(b"".join(parts), key)
        said = engine_error_body(body, answer.status, self._call.dialect)
        if said is None:
            text = body[:1000].decode("utf-8", errors="replace").strip()
            raise ProviderRefusedError(self._door.name, answer.status, text)
        lines = [*answer_lines(answer.headers), (LAYER, b"provider")]
        await self._call.respond(answer.status, lines, said)

    async def end(self, error: GatewayError) -> None:
        """Nothing more comes. Raises the error where nothing was sent to the client."""
        if not self._call.begun:
            raise error
        self.guess()
        self._call.error_code = error.code
        if self._plea.streams:
            await self._call.break_off(error, after=self._last[-1] if self._last else b"\n\n")

    def guess(self) -> None:
        """The provider could not say, or was not heard saying, what it has used."""
        if self._plea.counts and self._call.begun:
            self._count(aborted=True)

    def _count(self, *, aborted: bool) -> None:
        self._call.usage = self._meter.usage()
        if aborted and self._call.usage is None:
            self._call.usage = self._meter.guess(len(self._body))
        self._door.count(self._call)

    def close(self) -> None:
        """Cut the provider off, unless its answer is over."""
        if self._answer is not None:
            self._answer.close()

    def _note(self, error: str) -> None:
        logger.warning(
            "provider failed",
            extra={
                "fields": {
                    "request_id": self._call.request_id.decode("latin-1"),
                    "model": self._call.model,
                    "provider": self._door.name,
                    "error": error,
                    "bytes_sent": self._call.sent,
                }
            },
        )
