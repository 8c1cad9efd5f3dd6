"""A client that disconnects cancels its work in the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from support.started import Penstock, until
from support.streams import Streams

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    model = {"engine": "simulator", "options": {"tokens_per_second": 5, "output_tokens": 900}}
    with Penstock(tmp_path_factory.mktemp("penstock"), {"models": {"m": model}}) as running:
        yield running


def _engine_url(penstock: Penstock) -> str:
    (model,) = penstock.status()["models"]
    ports = {
        connection.laddr.port
        for pid in model["replicas"][0]["engine_pids"]
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == "LISTEN" and connection.laddr.ip == "127.0.0.1"
    }
    return next(f"http://127.0.0.1:{port}" for port in ports if _answers(f"http://127.0.0.1:{port}/health"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _running(engine: str) -> int:
    lines = httpx.get(f"{engine}/metrics", timeout=10).text.splitlines()
    gauges = [line for line in lines if line.startswith("vllm:num_requests_running{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in gauges))


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engines_work_ends_with_the_client(running_penstock: Penstock, stream: bool) -> None:
    engine = _engine_url(running_penstock)
    streams = Streams(running_penstock.url, "m", max_tokens=900, extra={"ignore_eos": True, "stream": stream})
    clients = asyncio.create_task(streams.many(4))
    end = time.monotonic() + 120
    while await asyncio.to_thread(_running, engine) < 4:
        assert time.monotonic() < end, "the requests did not reach the engine"
        assert not clients.done()
        await asyncio.sleep(0.02)
    clients.cancel()
    await asyncio.gather(clients, return_exceptions=True)
    await asyncio.to_thread(until, lambda: _running(engine) == 0, limit=60, what="the end of the work")
