"""One gateway replica, a thousand streams at once, and memory that does not grow with the number of requests."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator

import aiohttp
import psutil
import pytest

from support.started import Penstock
from support.streams import Streams

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1500)]

CROWD = 1000
# The streams are slow, so that the first still runs when the last begins, however busy the machine.
REQUESTS = 100_000
CLIENTS = 64
FLAT = 24 * 2**20
"""Bytes that the gateway may grow by from the first fifth of the requests to the last: caches that fill, no more."""


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    options = {"time_to_first_token": "500ms", "max_num_seqs": 2 * CROWD}
    document = {
        "models": {
            "sim": {
                "engine": "simulator",
                "replicas": {"min": 1, "max": 1, "limit": 2 * CROWD},
                "options": {**options, "tokens_per_second": 0.6, "output_tokens": 25},
            },
            "quick": {"engine": "simulator", "options": {"time_to_first_token": 0, "tokens_per_second": 0}},
        }
    }
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Two sockets a stream in the gateway, one in the engine and one here: all of them inherit the limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * CROWD)), hard))
    try:
        with Penstock(tmp_path_factory.mktemp("penstock"), document) as running:
            yield running
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _gateway(penstock: Penstock) -> psutil.Process:
    (pid,) = penstock.status()["gateway"]["pids"]
    return psutil.Process(pid)


async def test_a_thousand_streams_at_once_end_whole(running_penstock: Penstock) -> None:
    streams = Streams(running_penstock.url, "sim", max_tokens=25)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, streams.running)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    ended = await streams.many(CROWD)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert most == CROWD, f"only {most} streams ran at once"
    assert [stream for stream in ended if not stream.whole] == []


async def test_memory_is_flat_over_a_hundred_thousand_requests(running_penstock: Penstock) -> None:
    gateway = await asyncio.to_thread(_gateway, running_penstock)
    body = {"model": "quick", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    sizes: list[int] = []
    left = REQUESTS
    wrong: list[int] = []

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if left % (REQUESTS // 10) == 0:
                sizes.append(gateway.memory_info().rss)
            async with session.post(f"{running_penstock.url}/v1/chat/completions", json=body) as answer:
                await answer.read()
                if answer.status != 200:
                    wrong.append(answer.status)

    async with Streams(running_penstock.url, "quick").session() as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    assert wrong == []
    told = " ".join(f"{size / 2**20:.0f}" for size in sizes)
    assert max(sizes[2:]) - sizes[1] < FLAT, f"the gateway's memory over time in MiB: {told}"
    print(f"gateway's memory over {REQUESTS} requests in MiB: {told}; {os.getloadavg()}")
