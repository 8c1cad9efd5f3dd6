"""Questions to a running engine over HTTP: is it healthy, what does it offer, a first small request.

Used by the replica. Speaks the routes that vLLM and the simulator share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import aiohttp
import orjson

from penstock.board.gauges import Gauge
from penstock.engine.command import Place
from penstock.in_flight import OPEN

_REQUEST_LIMIT = aiohttp.ClientTimeout(total=5)
_WARM_UP_LIMIT = aiohttp.ClientTimeout(total=600)
"""The first request may compile."""


class Offer(NamedTuple):
    """What an engine can do."""

    max_model_len: int | None
    endpoints: list[str]
    """Paths that take POST. Empty where the engine does not tell."""


class EngineProbe:
    """An HTTP client for one engine. Use as an async context manager."""

    def __init__(self, place: Place) -> None:
        self._session = aiohttp.ClientSession(
            base_url=place.base_url,
            headers={"authorization": f"Bearer {place.token}"},
            timeout=_REQUEST_LIMIT,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def healthy(self) -> bool:
        """Whether it says that it is healthy. Not answering is not healthy."""
        try:
            async with self._session.get("/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def offer(self) -> Offer:
        """What it can do. Raises aiohttp.ClientError when it does not answer."""
        async with self._session.get("/v1/models") as response:
            response.raise_for_status()
            models = orjson.loads(await response.read())
        async with self._session.get("/openapi.json") as response:
            description = orjson.loads(await response.read()) if response.status == 200 else {}
        return Offer(
            max_model_len=next((m.get("max_model_len") for m in models.get("data", [])), None),
            endpoints=sorted(path for path, methods in description.get("paths", {}).items() if "post" in methods),
        )

    async def warm_up(self, model: str, endpoints: Iterable[str]) -> None:
        """One small request of the kind that the engine takes; nothing where it takes none that we know.

        Raises:
            aiohttp.ClientError: it did not answer, or refused.
        """
        if (request := warm_up_request(model, endpoints)) is None:
            return
        path, body = request
        async with self._session.post(path, json=body, timeout=_WARM_UP_LIMIT) as response:
            await response.read()
            response.raise_for_status()

    async def running_requests(self) -> int | None:
        """Requests that it works on, queues or has just taken; None when it does not answer."""
        gauges = await self.gauges()
        return None if gauges is None else int(gauges[Gauge.RUNNING] + gauges[Gauge.QUEUED])

    async def metrics(self) -> tuple[str, Mapping[str, str]] | None:
        """Its metrics in Prometheus' text, and the headers of that answer; None when it does not answer."""
        try:
            async with self._session.get("/metrics") as response:
                return (await response.text(), response.headers) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def gauges(self) -> dict[Gauge, float] | None:
        """What it says of its load; None when it does not answer."""
        if (said := await self.metrics()) is None:
            return None
        metrics, headers = said
        return read_gauges(metrics, open_requests=int(headers.get(OPEN, 0)))


def warm_up_request(model: str, endpoints: Iterable[str]) -> tuple[str, dict[str, Any]] | None:
    """Path and body of the smallest request that runs the model once."""
    offered = set(endpoints)
    if "/v1/completions" in offered:
        return "/v1/completions", {"model": model, "prompt": "a", "max_tokens": 2, "temperature": 0}
    if "/v1/embeddings" in offered:
        return "/v1/embeddings", {"model": model, "input": "a"}
    return None


_SUMMED = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "queued",
    "vllm:e2e_request_latency_seconds_sum": "seconds",
    "vllm:e2e_request_latency_seconds_count": "ended",
}
_KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
"""vLLM's name, and the one that it had before."""


def read_gauges(metrics: str, open_requests: int = 0) -> dict[Gauge, float]:
    """The load of one engine from vLLM's metrics in Prometheus' text. A server of several engines has a line for each:
    requests are summed, and of the KV caches the fullest counts.

    Args:
        open_requests: those inside its HTTP server. vLLM renews its gauges with what a step gives, so on a busy machine
            they know nothing for seconds of requests that have arrived.
    """
    sums = dict.fromkeys(_SUMMED.values(), 0.0)
    usage = 0.0
    for line in metrics.splitlines():
        name, _, rest = line.partition("{")
        if name in _SUMMED:
            sums[_SUMMED[name]] += float(rest.rpartition(" ")[2])
        elif name in _KV_USAGE:
            usage = max(usage, float(rest.rpartition(" ")[2]))
    running = max(sums["running"], open_requests - sums["queued"])
    gauges = {Gauge.RUNNING: running, Gauge.QUEUED: sums["queued"], Gauge.KV_USAGE: usage}
    if sums["ended"]:
        gauges[Gauge.REQUEST_SECONDS] = sums["seconds"] / sums["ended"]
    return gauges
