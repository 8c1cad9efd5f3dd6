"""A replica's own report, kept current on the board without ever holding up the replica."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from penstock.board import Board, Failure, Phase, PhaseMark, ReplicaReport

HEARTBEAT = 5.0
"""Seconds between two pins of an unchanged report. Readers take a report for dead after a few missed ones."""
FORGET_AFTER = 600.0
"""Seconds after which a report that nobody renews is removed by the next replica that starts."""

logger = logging.getLogger(__name__)


class Reporter:
    """Pins in order, on one thread, because a board call is a round trip. Belongs to one event loop."""

    def __init__(self, board: Board, report: ReplicaReport, *, clock: Callable[[], float] = time.time) -> None:
        self._board = board
        self._clock = clock
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="board")
        self._heart: asyncio.Task[None] | None = None
        self.report = report

    def enter(self, phase: Phase, **facts: Any) -> None:
        """Begin a phase, and say what else became known."""
        mark = PhaseMark(phase=phase, at=self._clock())
        self.say(phases=[*self.report.phases, mark], **{"detail": "", **facts})
        logger.info("replica is %s", phase, extra={"fields": {"model": self.report.model, **_loggable(facts)}})

    def fail(self, failure: Failure) -> None:
        self.enter(Phase.FAILED, failure=failure)

    def say(self, **facts: Any) -> None:
        """Change facts of the report within the phase."""
        self.report = self.report.model_copy(update=facts)
        self._pin()

    def start(self) -> None:
        """Pin, remove what dead replicas left behind, and begin the heartbeat."""
        self._submit(self._prune)
        self._pin()
        self._heart = asyncio.get_running_loop().create_task(self._beat(), name="report-heartbeat")

    async def flush(self) -> None:
        """Wait until all that was said is on the board."""
        with contextlib.suppress(RuntimeError):  # closed: all was flushed
            await asyncio.wrap_future(self._thread.submit(lambda: None))

    async def close(self, *, remove: bool) -> None:
        """Stop reporting. A failed replica's last word stays, a stopped one's is removed."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        if remove:
            self._submit(lambda: self._board.remove(self.report.replica))
        await self.flush()
        self._thread.shutdown(wait=False)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._pin()

    def _pin(self) -> None:
        self.report = self.report.model_copy(update={"updated": self._clock()})
        report = self.report
        self._submit(lambda: self._board.pin(report))

    def _prune(self) -> None:
        for replica in forgettable(self._board.reports(), now=self._clock()):
            self._board.remove(replica)

    def _submit(self, call: Callable[[], None]) -> None:
        def quietly() -> None:
            try:
                call()
            except Exception:
                # Reports are for people; an engine serves without them.
                logger.warning("a report could not be pinned", exc_info=True)

        with contextlib.suppress(RuntimeError):  # closed
            self._thread.submit(quietly)


def forgettable(reports: list[ReplicaReport], *, now: float) -> list[str]:
    """Replicas whose last word is too old to matter."""
    return [report.replica for report in reports if now - report.updated > FORGET_AFTER]


def _loggable(facts: dict[str, Any]) -> dict[str, Any]:
    failure = facts.get("failure")
    return {"cause": failure.cause} if isinstance(failure, Failure) else {}
