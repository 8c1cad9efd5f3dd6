"""Streams go on, and begin, while replicas of engines and gateways are replaced, come and go. None of them fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

from support.rollouts import STREAMS, Rollouts
from support.streams import Ended

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def failures(ended: list[Ended]) -> list[Ended]:
    return [stream for stream in ended if not stream.whole]


async def test_a_changed_option_reaches_all_replicas_and_one_is_ready_all_the_while(rollouts: Rollouts) -> None:
    length = 4321
    ready: list[int] = []

    async def watch() -> None:
        async with httpx.AsyncClient(timeout=60) as http:
            while True:
                ready.append((await http.get(f"{rollouts.penstock.url}/v1/models/m")).json()["replicas_ready"])
                await asyncio.sleep(0.2)

    async with rollouts.streaming() as ended:
        watching = asyncio.create_task(watch())
        await rollouts.apply(m={"options": {**rollouts.options, "max_model_len": length}})
        await rollouts.eventually(lambda: rollouts.card()["max_model_len"] == length, "the changed option")
        watching.cancel()
    await asyncio.wait([watching])
    assert failures(ended) == []
    assert len(ended) > 2 * STREAMS
    assert min(ready) >= 1, "a simulator's replica stopped before its replacement was ready"


async def test_gateways_with_another_setting_take_the_place_of_the_old_ones(rollouts: Rollouts) -> None:
    before = rollouts.gateways()
    async with rollouts.streaming() as ended:
        await rollouts.apply(gateway={"bodyTimeout": "31s"})
    assert failures(ended) == []
    after = rollouts.gateways()
    assert (len(before), len(after)) == (2, 2)
    assert not before & after


async def test_replicas_that_are_too_many_go_and_take_no_stream_along(rollouts: Rollouts) -> None:
    assert rollouts.card()["replicas_ready"] == 3
    async with rollouts.streaming() as ended:
        await rollouts.apply(m={"replicas": 1})
        await rollouts.eventually(lambda: rollouts.card()["replicas_ready"] == 1, "the end of two replicas")
    assert failures(ended) == []


async def test_a_killed_gateway_takes_its_own_streams_along_and_they_say_so(rollouts: Rollouts) -> None:
    victim, other = rollouts.gateways()
    process = psutil.Process(victim)
    async with rollouts.streaming(tokens=200) as ended:
        os.kill(victim, signal.SIGKILL)
        await asyncio.to_thread(process.wait, 60)
        async with rollouts.streaming(tokens=5) as late:
            pass
    assert failures(late) == [], "the other gateway serves at once"
    cut = failures(ended)
    assert len(cut) < 2 * STREAMS, "the other gateway's streams were cut too"
    assert cut, "the kernel gave the victim no connection"
    assert all(stream.broke and not stream.done for stream in cut), cut
    await rollouts.eventually(lambda: len(rollouts.gateways()) == 2, "a replacement")
    assert other in rollouts.gateways()


# What a gateway of another Ray cluster would do, asked on this one: whether it takes over within some seconds.
TAKES_OVER = """
import asyncio, sys
from penstock import environment
environment.prepare_for_ray()
from penstock.assembly.cluster import Cluster
from penstock.cli import session
from penstock.gateway import ray_succession

async def takes_over(application, url):
    try:
        async with asyncio.timeout(8):
            await ray_succession.until_it_takes_over(lambda: {application}, url)
    except TimeoutError:
        return False
    return True

cluster = Cluster.connect(session.find().ray_address)
print(*[asyncio.run(takes_over(*each.split(","))) for each in sys.argv[1:]])
cluster.close()
"""


def test_a_gateway_takes_over_when_its_models_have_run_and_the_next_one_at_once(rollouts: Rollouts) -> None:
    asked = [f"{application},{rollouts.penstock.url}" for application in ("model-missing", "model-m", "model-missing")]
    done = subprocess.run(
        [sys.executable, "-c", TAKES_OVER, *asked],
        env=rollouts.penstock.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True", "True"], done.stderr


async def test_gateways_whose_pod_stops_say_so_and_serve_on(rollouts: Rollouts) -> None:
    assert rollouts.answers("/readyz") == {200}
    async with rollouts.streaming() as ended:
        (rollouts.penstock.folder / "leaving").touch()
        await rollouts.eventually(lambda: rollouts.answers("/readyz") == {503}, "no gateway that says ready")
    assert failures(ended) == []
    assert rollouts.answers("/healthz") == {200}
