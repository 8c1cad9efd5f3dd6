"""Real vLLM from none to one, through a rollout, to two and back, with requests all the while. None of them fails.

Each test begins where the one before ended: an engine takes a minute to start here.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.started import CPU_ENV, CPU_OPTIONS, Penstock, until
from support.streams import Ended, Streams

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]

LIMIT = 600.0
"""Seconds that an engine may take to come or go, on a machine that is busy with its streams."""
HELD = 50
STREAMS = 16
LOAD = 4
"""Streams that ask for a second engine, few enough to leave it a processor to start on."""
LENGTH = 960
CHANGED = {**CPU_OPTIONS, "max_model_len": LENGTH}
ELASTIC = {
    "min": 0,
    "max": 2,
    "target": 64,
    "upscaleDelay": "1s",
    "downscaleDelay": "30s",
    "downscaleToZeroDelay": "1h",
}


@pytest.fixture(scope="module")
def running_penstock(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    model = {"source": str(demo_model), "replicas": ELASTIC, "options": CPU_OPTIONS, "env": CPU_ENV}
    with Penstock(tmp_path_factory.mktemp("penstock"), {"models": {"m": model}}) as running:
        yield running


def changed(penstock: Penstock, **changes: Any) -> dict[str, Any]:
    """The document with other settings of the model."""
    document = copy.deepcopy(penstock.document)
    document["models"]["m"].update(changes)
    return document


def card(penstock: Penstock) -> dict[str, Any]:
    """What the gateway knows of the model."""
    found: dict[str, Any] = httpx.get(f"{penstock.url}/v1/models/m", timeout=30).json()
    return found


def replicas(penstock: Penstock) -> list[str]:
    """The names of those that are there or coming."""
    return [replica["replica"] for replica in penstock.status()["models"][0]["replicas"]]


@asynccontextmanager
async def streaming(penstock: Penstock, count: int) -> AsyncIterator[list[Ended]]:
    """Keeps so many streams going; they are in the list once the block is left."""
    ended: list[Ended] = []
    enough = asyncio.Event()
    streams = Streams(penstock.url, "m", max_tokens=48, extra={"ignore_eos": True})
    crowd = asyncio.create_task(streams.without_pause(count, enough))
    try:
        yield ended
    finally:
        enough.set()
        ended += await crowd


async def eventually(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(until, condition, limit=LIMIT, what=what, every=0.5)


async def test_fifty_requests_wait_for_the_first_engine(running_penstock: Penstock) -> None:
    assert card(running_penstock)["status"] == "idle"
    ended = await Streams(running_penstock.url, "m", max_tokens=8).many(HELD)
    assert [stream for stream in ended if not stream.whole] == []
    # The gateway looks at the board once a second, and answers may come sooner.
    await eventually(lambda: card(running_penstock)["replicas_ready"] == 1, "one engine")


async def test_a_rollout_under_streams_fails_none_of_them(running_penstock: Penstock) -> None:
    async with streaming(running_penstock, STREAMS) as ended:
        document = changed(running_penstock, options=CHANGED)
        applied = await asyncio.to_thread(running_penstock.apply, document)
        assert applied.returncode == 0, applied.stdout + applied.stderr
        await eventually(lambda: card(running_penstock)["max_model_len"] == LENGTH, "the changed option")
        await eventually(lambda: card(running_penstock)["replicas_ready"] == 1, "the end of the old engine")
    assert [stream for stream in ended if not stream.whole] == []
    assert len(ended) > STREAMS


async def test_a_second_engine_comes_with_load_and_goes_with_it(running_penstock: Penstock) -> None:
    engine = replicas(running_penstock)
    replicated = changed(running_penstock, options=CHANGED, replicas={**ELASTIC, "min": 1, "target": LOAD // 2})
    scaled = await asyncio.to_thread(running_penstock.apply, replicated)
    assert scaled.returncode == 0, scaled.stdout + scaled.stderr
    assert replicas(running_penstock) == engine, "numbers are changed in place"
    async with streaming(running_penstock, LOAD) as crowd:
        await eventually(lambda: card(running_penstock)["replicas_ready"] == 2, "a second engine")
    async with streaming(running_penstock, 1) as one:
        await eventually(lambda: card(running_penstock)["replicas_ready"] == 1, "the second engine's end")
    assert [stream for stream in [*crowd, *one] if not stream.whole] == []
