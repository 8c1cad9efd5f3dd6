"""A thousand clients of a model that sleeps: the bound of the hold, its memory, and that those held are served."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Iterator

import aiohttp
import psutil
import pytest

from support.started import Penstock
from support.streams import Ended, Streams

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1500)]

CROWD, BOUND = 1000, 256
ROUNDS = 6
FLAT = 8 * 2**20
"""Bytes that the gateway may grow by over the rounds after the first two."""


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    # All crowds but the last one come and go while the model starts for the first of them.
    options = {"startup": "90s", "time_to_first_token": "10ms", "tokens_per_second": 100, "output_tokens": 5}
    document = {
        "models": {"asleep": {"engine": "simulator", "replicas": {"min": 0, "max": 1}, "options": options}},
        "gateway": {"hold": {"requests": BOUND}},
    }
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * CROWD)), hard))
    try:
        with Penstock(tmp_path_factory.mktemp("penstock"), document) as running:
            yield running
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _crowd(streams: Streams, session: aiohttp.ClientSession) -> tuple[set[asyncio.Task[Ended]], float]:
    """Those who wait once all others were refused, and the seconds until the last of those was."""
    began = time.monotonic()
    waiting = {asyncio.create_task(streams.one(session)) for _ in range(CROWD)}
    refused: set[asyncio.Task[Ended]] = set()
    while len(waiting) > BOUND:
        done, waiting = await asyncio.wait(waiting, timeout=300, return_when=asyncio.FIRST_COMPLETED)
        assert done, f"{len(waiting)} still wait"
        refused |= done
    seconds = time.monotonic() - began
    assert Counter((task.result().status, (task.result().error or {}).get("code")) for task in refused) == {
        (429, "queue_full"): CROWD - BOUND
    }
    return waiting, seconds


async def _shown(streams: Streams, session: aiohttp.ClientSession) -> float:
    """Requests that wait, as the gateway's metrics say."""
    async with session.get(f"{streams.url}/metrics") as answer:
        text = await answer.text()
    return float(text.partition('penstock_gateway_requests_waiting{model="asleep"} ')[2].split("\n")[0])


async def test_as_many_wait_as_may_memory_is_flat_and_who_waits_is_served(running_penstock: Penstock) -> None:
    (pid,) = (await asyncio.to_thread(running_penstock.status))["gateway"]["pids"]
    gateway = psutil.Process(pid)
    streams = Streams(running_penstock.url, "asleep", max_tokens=5)
    sizes, times = [], []
    for _ in range(ROUNDS):
        async with streams.session() as session:
            waiting, seconds = await _crowd(streams, session)
            times.append(seconds)
            assert await _shown(streams, session) == BOUND
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            async with asyncio.timeout(60):
                while await _shown(streams, session):  # noqa: ASYNC110  # in another process
                    await asyncio.sleep(0.05)
        sizes.append(gateway.memory_info().rss)
    async with streams.session() as session:
        waiting, seconds = await _crowd(streams, session)
        ended = await asyncio.gather(*waiting)
    assert [each for each in ended if not each.whole] == []
    told = " ".join(f"{size / 2**20:.0f}" for size in sizes)
    print(f"the gateway's memory after each crowd in MiB: {told}; all refused after {max([*times, seconds]):.2f} s")
    assert max(sizes[2:]) - sizes[1] < FLAT, f"the gateway's memory after each crowd in MiB: {told}"
