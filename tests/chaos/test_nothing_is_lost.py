"""Mixed load, random deaths, scaling and rollouts at once: every request is answered, or told why not.

A minute and a half of it in `make test`; `make chaos` runs twenty.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from support.disturbance import Disturbance, broken_on, document
from support.mixed_load import MixedLoad
from support.started import Penstock, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3600)]

LEVELS = [4, 24, 8, 32, 2, 16]
"""Requests at a time, in turn."""
LEVEL_LASTS = 20.0
KILL_EVERY = 12.0
APPLIES_IN_SHORT, APPLY_EVERY = 4, 120.0
"""Where it lasts long, a document is applied every two minutes; where it is short, so often in all."""
REPORT = Path(__file__).parents[2] / "build" / "chaos.json"


async def test_every_request_is_answered_or_accounted_for(tmp_path: Path, seconds: float, seed: int) -> None:
    with Penstock(tmp_path, document()) as penstock:
        load = MixedLoad(penstock.url, ["steady"] * 4 + ["rare"], seed)
        every = min(APPLY_EVERY, seconds / APPLIES_IN_SHORT)
        disturbance = Disturbance(penstock, seed, kill_every=KILL_EVERY, apply_every=every)
        gateways = penstock.status()["gateway"]["pids"]
        assert len(gateways) == 2

        disturbing = [asyncio.create_task(disturbance.kill()), asyncio.create_task(disturbance.apply())]
        try:
            await load.run(seconds, LEVELS, LEVEL_LASTS)
            # A task that is done has failed: it goes on until it is cancelled.
            assert not [task.exception() for task in disturbing if task.done()]
        finally:
            for task in disturbing:
                task.cancel()
            await asyncio.gather(*disturbing, return_exceptions=True)

        broken = broken_on(gateways)
        killed = {kill.replica for kill in disturbance.kills}
        told = load.of_fate("told")
        report = {
            "minutes": seconds / 60,
            "requests": len(load.done),
            "by kind and fate": load.counts(),
            "longest s": round(max(request.seconds for request in load.done), 1),
            "kills": [f"{kill.whose} of {kill.model}" for kill in disturbance.kills],
            "applied": disturbance.applied,
            "most replicas seen": disturbance.most_replicas,
            "lost": [str(request) for request in load.of_fate("lost")],
        }
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=2), encoding="utf-8")

        assert load.of_fate("lost") == [], report
        assert len(disturbance.kills) >= seconds / KILL_EVERY / 4
        assert disturbance.applied
        assert disturbance.most_replicas > 2, "the load never scaled anything up"
        for request in told:
            assert broken.get(request.id, set()) & killed, f"no kill accounts for {request}: {report}"

        assert sorted(penstock.status()["gateway"]["pids"]) == sorted(gateways), "nobody touched the gateways"
        until(lambda: _at_rest(penstock), limit=120, what="all leases are back and nobody waits", every=1)
        done = await asyncio.to_thread(penstock.apply, document())
        assert done.returncode == 0, done.stderr
        until(lambda: _replicas(penstock) == {"steady": 2, "rare": 0}, limit=180, what="only what is kept", every=1)


def _at_rest(penstock: Penstock) -> bool:
    """No lease and no waiting request at any gateway. Each new connection reaches one of them by chance."""
    numbers = ("penstock_gateway_leases{", "penstock_gateway_requests_waiting{")
    for _ in range(20):
        lines = httpx.get(f"{penstock.url}/metrics", headers={"connection": "close"}, timeout=10).text.splitlines()
        if any(line.startswith(numbers) and float(line.rpartition(" ")[2]) for line in lines):
            return False
    return True


def _replicas(penstock: Penstock) -> dict[str, int]:
    """Replicas of each model that Serve has, in whatever state."""
    return {model["name"]: len(model["replicas"]) for model in penstock.status()["models"]}
