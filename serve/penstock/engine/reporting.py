"""A replica's own report, kept current on the board without ever holding up the replica."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.board import Board, Failure, Phase, PhaseMark, ReplicaReport

HEARTBEAT = 5.0
"""Seconds between two pins of an unchanged report. Readers take a report for dead after a few missed ones."""
FORGET_AFTER = 600.0
"""Seconds after which a report that nobody renews is removed by the next replica that starts."""
LOOK_AGAIN = 6
"""Heartbeats between a replica's suspicion that a report is old, which compares two clocks, and its removal: whoever
lives has renewed it by then, however wrong a clock is."""

logger = logging.getLogger(__name__)


class Reporter:
    """Pins in order, on one thread, because a board call is a round trip. Belongs to one event loop."""

    def __init__(self, board: Board, report: ReplicaReport, *, clock: Callable[[], float] = time.time) -> None:
        self._board = board
        self._clock = clock
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="board")
        self._heart: asyncio.Task[None] | None = None
        self._suspected: dict[str, float] = {}
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
        """Pin, and begin the heartbeat. What dead replicas left behind long ago is removed a while later."""
        self._submit(self._suspect)
        self._pin()
        self._heart = asyncio.get_running_loop().create_task(self._beat(), name="report-heartbeat")

    async def others(self) -> list[ReplicaReport]:
        """What the other replicas of all models say; nothing while the board is away."""

        def read() -> list[ReplicaReport]:
            return [report for report in self._board.reports() if report.replica != self.report.replica]

        try:
            return await asyncio.wrap_future(self._thread.submit(read))
        except Exception:
            logger.warning("the reports of other replicas could not be read", exc_info=True)
            return []

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
        for beat in itertools.count(1):
            await asyncio.sleep(HEARTBEAT)
            self._pin()
            if beat == LOOK_AGAIN:
                self._submit(self._prune)

    def _pin(self) -> None:
        self.report = self.report.model_copy(update={"updated": self._clock()})
        report = self.report
        self._submit(lambda: self._board.pin(report))

    def _suspect(self) -> None:
        self._suspected = old(self._board.reports(), now=self._clock())

    def _prune(self) -> None:
        for replica in unchanged(self._suspected, self._board.reports()) if self._suspected else []:
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


def old(reports: Iterable[ReplicaReport], *, now: float) -> dict[str, float]:
    """Replicas whose last word seems too old to matter, or comes from the future, with the stamp that it bears."""
    return {report.replica: report.updated for report in reports if abs(now - report.updated) > FORGET_AFTER}


def unchanged(stamps: Mapping[str, float], reports: Iterable[ReplicaReport]) -> list[str]:
    """Replicas that still bear the stamp that they bore."""
    return [report.replica for report in reports if stamps.get(report.replica) == report.updated]


def _loggable(facts: dict[str, Any]) -> dict[str, Any]:
    failure = facts.get("failure")
    return {"cause": failure.cause} if isinstance(failure, Failure) else {}
