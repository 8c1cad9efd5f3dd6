"""Watches one engine that serves: looks at it every few seconds until it is stuck. Thin; `watchdog` decides.

Run by the replica beside its wait for the engine's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Collection

import psutil

from penstock.engine.probe import EngineProbe
from penstock.engine.process import EngineProcess
from penstock.engine.vitals import read_vitals
from penstock.engine.watchdog import Look, Watchdog

LONGEST_INTERVAL = 10.0
LOOKS_PER_STALL = 6
_OF_A_WORKER = re.compile(r"\((EngineCore|Worker|VllmWorker)")
"""vLLM's prefix for lines of other processes than its HTTP server, whose lines tell of requests that arrive."""
_NO_SIGN_OF_LIFE = "No available shared memory broadcast block"
"""What vLLM's workers say every minute while another one hangs."""


logger = logging.getLogger(__name__)


class WorkerLines:
    """Counts the lines of log that show that an engine's workers do something."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, line: str) -> None:
        self.count += _OF_A_WORKER.match(line) is not None and _NO_SIGN_OF_LIFE not in line


class EngineWatch:
    """Of one engine, from the moment it is ready."""

    def __init__(
        self,
        process: EngineProcess,
        open_probe: Callable[[], EngineProbe],
        lines: WorkerLines,
        *,
        stall: float,
        gpus: int,
        longest_request: Callable[[], float],
        on_look: Callable[[], None],
    ) -> None:
        """
        Args:
            stall: see `Watchdog`.
            gpus: how many GPUs it has. Where a GPU hangs, the process waits for it at full speed, so with GPUs only
                processes that came later count as working: compilers.
            longest_request: asked at each look, because it may change.
            on_look: called at each look at an engine that lives.
        """
        self._process = process
        self._open_probe = open_probe
        self._lines = lines
        self._watchdog = Watchdog(stall)
        self._interval = min(LONGEST_INTERVAL, stall / LOOKS_PER_STALL)
        self._ignored = frozenset(process.pids()) if gpus else frozenset[int]()
        self._longest_request = longest_request
        self._on_look = on_look

    async def until_stuck(self) -> str:
        """Return when it is stuck, with the reason. To be cancelled when it ends."""
        while True:
            try:
                look = await self._look()
            except Exception:
                # What an engine says in a way that nobody understands is no reason to end it.
                logger.warning("the engine could not be looked at", exc_info=True)
            else:
                self._on_look()
                if (cause := self._watchdog.observe(look, longest_request=self._longest_request())) is not None:
                    return cause
            await asyncio.sleep(self._interval)

    async def _look(self) -> Look:
        async with self._open_probe() as probe:
            answer = await probe.metrics()
            # A server without metrics is not a silent one.
            if answer is None and await probe.healthy():
                answer = "", {}
        server, workers = await asyncio.to_thread(self._seconds)
        return Look(
            at=time.monotonic(),
            vitals=read_vitals(*answer) if answer is not None else None,
            worker_seconds=workers,
            server_seconds=server,
            worker_lines=self._lines.count,
        )

    def _seconds(self) -> tuple[float, float]:
        """Processor time of the server and of the workers. Of an engine in one process both are that one's."""
        server = self._process.first_pid()
        pids = self._process.pids()
        workers = [pid for pid in pids if pid != server] or pids
        return processor_seconds([server] if server else []), processor_seconds(set(workers) - self._ignored)


def processor_seconds(pids: Collection[int]) -> float:
    """Processor time of those of the processes that still are there."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error, OSError):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total
