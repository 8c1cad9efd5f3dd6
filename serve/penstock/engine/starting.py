"""Waits until an engine that was started is healthy, as long as it gets on. Used by the replica."""

from __future__ import annotations

import asyncio
import time

from penstock.config.models import Startup
from penstock.config.units import format_duration
from penstock.engine.log import EngineLog
from penstock.engine.probe import EngineProbe
from penstock.engine.process import EngineProcess
from penstock.engine.stall import Sample, StallClock, take_sample

_POLL = 0.25


class NotStartedError(Exception):
    """`cause` where we know it; None where the engine ended by itself."""

    def __init__(self, cause: str | None) -> None:
        super().__init__(cause)
        self.cause = cause


async def until_healthy(process: EngineProcess, probe: EngineProbe, log: EngineLog, limits: Startup) -> None:
    """Raises NotStartedError when it ends, makes no progress, or takes too long."""
    began = time.monotonic()
    clock = StallClock(_sample(process, log))
    while not await probe.healthy():
        if not process.running:
            raise NotStartedError(None)
        if clock.observe(_sample(process, log)) > limits.stall:
            raise NotStartedError(
                f"The engine made no progress for {format_duration(limits.stall)} while starting and was stopped."
            )
        if time.monotonic() - began > limits.limit:
            raise NotStartedError(f"The engine was not ready after {format_duration(limits.limit)}.")
        await asyncio.sleep(_POLL)


def _sample(process: EngineProcess, log: EngineLog) -> Sample:
    return take_sample(process.pids(), at=time.monotonic(), log_bytes=log.written)
