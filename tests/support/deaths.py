"""The sudden end of an engine or of a replica under streams, and all that must be true of it. Used by tests/faults."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import psutil

from support.engines_at_work import engine_url, requests_running
from support.started import Penstock, still_there, until
from support.streams import Ended, Streams

STREAMS = 16
FEW = 3
"""Streams that each replica has, at least, when one is hit."""


async def die_and_recover(penstock: Penstock, whose: str) -> None:
    """Kill one of two replicas of the model `m` under streams: only its own are cut, each is told, and a replacement
    serves.

    Args:
        whose: `engine`, or `replica` for the process around it.
    """
    ended, victim, processes = await _kill_under_load(penstock, whose)
    whole = [stream for stream in ended if stream.whole]
    told = [stream for stream in ended if stream.error is not None]
    assert len(whole) + len(told) == len(ended), ended
    assert whole, "the other replica's streams were cut too"
    assert told, "nobody was cut: the victim had no streams"
    assert not [stream for stream in ended if stream.silent]
    assert all(stream.status == 200 and stream.chunks for stream in told)
    if whose == "engine":
        until(
            lambda: any("SIGKILL" in cause for cause in _causes(penstock)),
            limit=60,
            what="the reason of the death",
            every=1,
        )
    replicas = until(lambda: two_replicas(penstock), limit=420, what="a replacement", every=1)
    assert victim["replica"] not in {replica["replica"] for replica in replicas}
    until(lambda: not still_there(processes), limit=90, what="the end of the old processes")
    after = await Streams(penstock.url, "m", max_tokens=5).many(16)
    assert all(stream.whole for stream in after)


def two_replicas(penstock: Penstock) -> list[dict[str, Any]]:
    (model,) = penstock.status()["models"]
    ready = [replica for replica in model["replicas"] if replica["phase"] == "ready"]
    return ready if len(ready) == 2 else []


def _causes(penstock: Penstock) -> list[str]:
    """Why replicas are gone, as `status` tells it."""
    (model,) = penstock.status()["models"]
    return [failed["failure"]["cause"] for failed in model["failures"]]


async def _kill_under_load(penstock: Penstock, whose: str) -> tuple[list[Ended], dict[str, Any], list[psutil.Process]]:
    """How the streams ended, the replica that was hit, and its processes."""
    replicas = until(lambda: two_replicas(penstock), limit=420, what="two ready replicas", every=1)
    simulated = penstock.document["models"]["m"].get("engine") == "simulator"
    streams = Streams(penstock.url, "m", max_tokens=400 if simulated else 900, extra={"ignore_eos": True})
    killed = asyncio.Event()
    crowd = asyncio.create_task(streams.without_pause(STREAMS, killed))
    end = time.monotonic() + 180
    engines = [engine_url(replica) for replica in replicas]
    # A replica that has just come has no streams before the next leases are taken.
    while streams.running < STREAMS or min([await asyncio.to_thread(requests_running, url) for url in engines]) < FEW:
        assert time.monotonic() < end, "no streams on both replicas"
        assert not crowd.done()
        await asyncio.sleep(0.01)
    victim = replicas[0]
    penstock.remember()
    # Taken before the kill: a number alone may be another process's by the time it is looked for.
    processes = [psutil.Process(pid) for pid in (*victim["engine_pids"], victim["pid"])]
    os.kill(victim["engine_pids"][0] if whose == "engine" else victim["pid"], signal.SIGKILL)
    killed.set()
    # A new request at once, while the dead one is still in the routing.
    late = Streams(penstock.url, "m", max_tokens=5)
    for ended in await late.many(8):
        assert ended.whole, ended
    return await crowd, victim, processes
