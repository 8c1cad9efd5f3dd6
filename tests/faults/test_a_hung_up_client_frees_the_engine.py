"""A client that disconnects cancels its work in the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from support.engines_at_work import engine_url, requests_running
from support.started import Penstock, until
from support.streams import Streams

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    model = {"engine": "simulator", "options": {"tokens_per_second": 5, "output_tokens": 900}}
    with Penstock(tmp_path_factory.mktemp("penstock"), {"models": {"m": model}}) as running:
        yield running


@pytest.mark.parametrize("stream", [True, False])
async def test_the_engines_work_ends_with_the_client(running_penstock: Penstock, stream: bool) -> None:
    engine = engine_url(running_penstock.status()["models"][0]["replicas"][0])
    streams = Streams(running_penstock.url, "m", max_tokens=900, extra={"ignore_eos": True, "stream": stream})
    clients = asyncio.create_task(streams.many(4))
    end = time.monotonic() + 120
    while await asyncio.to_thread(requests_running, engine) < 4:
        assert time.monotonic() < end, "the requests did not reach the engine"
        assert not clients.done()
        await asyncio.sleep(0.02)
    clients.cancel()
    await asyncio.gather(clients, return_exceptions=True)
    await asyncio.to_thread(until, lambda: requests_running(engine) == 0, limit=60, what="the end of the work")
