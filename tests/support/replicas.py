"""One engine replica without Ray, with a board in memory and the simulator as its engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil

from penstock.board import Failure, MemoryBoard, Phase
from penstock.config import Model
from penstock.engine.log import EngineLog
from penstock.engine.replica import EngineReplica, Identity
from penstock.engine.spec import EngineSpec


class Bench:
    """A replica, the board that it reports to, and the deaths it told of."""

    def __init__(self, model: Model, *, board: MemoryBoard | None = None, name: str = "r1", **more: Any) -> None:
        self.board = board or MemoryBoard()
        self.deaths: list[Failure] = []
        self.log = EngineLog()
        self.replica = EngineReplica(
            EngineSpec(name="sim", model=model),
            Identity(name, "node", os.getpid(), "127.0.0.1"),
            self.board,
            log=self.log,
            on_death=self.deaths.append,
            **more,
        )

    @property
    def phases(self) -> list[Phase]:
        (report,) = self.board.reports()
        return [mark.phase for mark in report.phases]

    def engine(self) -> psutil.Process:
        return psutil.Process(self.replica.report.engine_pids[0])


def simulator(*, model: dict[str, Any] | None = None, **options: Any) -> Model:
    """A model with the simulator as engine. `model` are further keys of it, in the document's words."""
    return Model.model_validate({"engine": "simulator", "options": options, **(model or {})})


@contextlib.asynccontextmanager
async def serving(model: Model) -> AsyncIterator[Bench]:
    """A replica that is ready, stopped at the end."""
    bench = Bench(model)
    await bench.replica.start()
    try:
        yield bench
    finally:
        await bench.replica.stop(0)


async def until(condition: Callable[[], object], limit: float = 90) -> None:
    """Return once the condition is true. Fails after `limit` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        await asyncio.sleep(0.01)
