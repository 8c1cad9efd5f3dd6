"""What is done to a running Penstock under load: processes are killed, documents are applied. Used by tests/chaos."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.started import Penstock

ELASTIC = {
    "min": 2,
    "max": 8,
    "target": 4,
    "upscaleDelay": "1s",
    "downscaleDelay": "10s",
}
FROM_ZERO = {
    "min": 0,
    "max": 2,
    "target": 8,
    "upscaleDelay": "1s",
    "downscaleDelay": "10s",
    "downscaleToZeroDelay": "15s",
}
OPTIONS = {"tokens_per_second": 20, "time_to_first_token": "20ms", "output_tokens": 60}


@dataclass
class Kill:
    """One process that was killed."""

    replica: str
    model: str
    whose: str
    """`engine`, or `replica`: the process around it."""
    at: float
    """Seconds since the epoch."""


@dataclass
class Disturbance:
    """Kills and applies, each in a rhythm of its own, until it is cancelled."""

    penstock: Penstock
    seed: int
    kill_every: float
    apply_every: float
    kills: list[Kill] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    most_replicas: int = 0

    async def kill(self) -> None:
        """An engine or a replica that is ready, every now and then."""
        chance = random.Random(self.seed)
        while True:
            await asyncio.sleep(self.kill_every * chance.uniform(0.5, 1.5))
            status = await asyncio.to_thread(self.penstock.status)
            ready = [(model["name"], replica) for model in status["models"] for replica in _ready(model)]
            self.most_replicas = max(self.most_replicas, len(ready))
            if not ready:
                continue
            model, victim = chance.choice(ready)
            whose = chance.choice(["engine", "replica"])
            with contextlib.suppress(ProcessLookupError):  # it was being stopped
                os.kill(victim["engine_pids"][0] if whose == "engine" else victim["pid"], signal.SIGKILL)
                self.kills.append(Kill(victim["replica"], model, whose, time.time()))

    async def apply(self) -> None:
        """The next document, every now and then."""
        for name, document in _documents():
            await asyncio.sleep(self.apply_every)
            done = await asyncio.to_thread(self.penstock.apply, document)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
            self.applied.append(name)


def document() -> dict[str, Any]:
    """What is served at the start, and again at the end."""
    return {
        "models": {
            "steady": {"engine": "simulator", "replicas": ELASTIC, "options": OPTIONS},
            "rare": {"engine": "simulator", "replicas": FROM_ZERO, "options": OPTIONS},
        },
        "gateway": {"replicas": 2, "longestRequest": "2m"},
        "logging": {"format": "json"},
    }


def broken_on(gateways: Iterable[int]) -> dict[str, set[str]]:
    """Replicas that broke, by id of the request that met it, as the gateways' logs tell.

    Args:
        gateways: their processes.
    """
    broken: dict[str, set[str]] = {}
    for pid in gateways:
        for line in Path(f"/proc/{pid}/fd/2").readlink().read_text(errors="replace").splitlines():
            if '"engine broke"' in line:
                said = json.loads(line)
                broken.setdefault(said["request_id"], set()).add(said["replica"])
    return broken


def _ready(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [replica for replica in model["replicas"] if replica["phase"] == "ready" and replica["engine_pids"]]


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Changes without end; each is made to what the one before left, but the model that comes and goes."""
    made = document()
    steady = made["models"]["steady"]
    for turn in itertools.count():
        steady["options"] = {**OPTIONS, "tokens_per_second": 21 + turn % 2}
        yield "an option of an engine", made
        steady["replicas"] = {**ELASTIC, "max": 8 - turn % 2, "target": 4 + turn % 2}
        yield "numbers of scaling", made
        yield "a model comes", {**made, "models": {**made["models"], "guest": {"engine": "simulator"}}}
        yield "a model goes", made
