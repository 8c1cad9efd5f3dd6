"""How long a replica waits before it starts, because those before it failed. Pure; called by the replica.

Ray Serve gives up a deployment whose very first replicas fail three times each. Once one replica of it has run, Serve
starts a new one for each that fails, at once and for ever. So a replica looks at the board for the one in whose place
it starts, and waits the longer the more failed in a row. The wait goes by the failures of one line of replicas, so that
one bad node holds up no other replica, and it ends with a document that says something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from penstock.board import Phase, ReplicaReport
from penstock.engine.spec import EngineSpec

STARTS_WORTH = 10.0
"""A replica that served for so many times the length of its start was worth it: its failure is the first of a row."""
LEAST_SERVICE, LONGEST_SERVICE = 30.0, 600.0
"""Bounds of that service in seconds."""
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0


def digest(spec: EngineSpec) -> str:
    """What tells two documents' replicas of a model apart."""
    return hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:12]


def predecessor(
    reports: Iterable[ReplicaReport], *, model: str, spec: str, lost: Callable[[ReplicaReport], bool]
) -> ReplicaReport | None:
    """The replica in whose place a new one starts: the latest of the same model and document that failed, or was lost
    without a word, and in whose place no other started. None where all went well.

    Args:
        lost: whether the process of a replica that did not say that it failed is known to be gone.
    """
    reports = list(reports)
    replaced = {report.follows for report in reports}
    left = [
        report
        for report in reports
        if (report.model, report.spec) == (model, spec)
        and report.replica not in replaced
        and (report.failure is not None or lost(report))
    ]
    return max(left, key=lambda report: report.updated, default=None)


def failures_in_a_row(report: ReplicaReport) -> int:
    """Failures up to and with this one."""
    return 1 if ran_well(report) else report.failures_before + 1


def ran_well(report: ReplicaReport) -> bool:
    """Whether it served long enough for its start to be worth it, by its own clock."""
    ready = next((mark.at for mark in report.phases if mark.phase is Phase.READY), None)
    if ready is None:
        return False
    start = report.start_seconds or 0.0  # of a clock that jumped nothing is known
    return report.updated - ready >= min(max(STARTS_WORTH * start, LEAST_SERVICE), LONGEST_SERVICE)


def pause(failures: int) -> float:
    """Seconds before the next start. After the first failure none: 0, 10, 20, 40, ... up to five minutes."""
    if failures < 2:
        return 0.0
    # The power is bounded, because a float is.
    return min(FIRST_PAUSE * 2.0 ** min(failures - 2, 16), LONGEST_PAUSE)


def remaining(failures: int, *, failed_at: float, now: float) -> float:
    """Seconds of the pause that are still to come. The two times are of two clocks, so neither counts for more than
    the pause itself."""
    whole = pause(failures)
    return whole - min(max(now - failed_at, 0.0), whole)
