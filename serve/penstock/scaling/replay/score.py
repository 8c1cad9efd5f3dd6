"""What a run was worth: waiting against replica time. Read by `table`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from penstock.scaling.replay.world import TICK_S, Run

LONG_WAIT_S = 10.0
"""Requests that wait longer for their first byte are counted by themselves."""

_FLAP_S = 600
"""A change that turns the one before it round within so many seconds is a flap."""


class Score(NamedTuple):
    """The figures of one run."""

    mean_s: float
    """Mean wait for the first byte."""
    p95_s: float
    p99_s: float
    long_waits: float
    """Share of the requests that waited longer than `LONG_WAIT_S`."""
    replica_hours: float
    """Hours of all replicas together, their starts and their draining included."""
    changes: int
    """How often the number asked for changed."""
    overshoot: int
    """Replicas asked for at the most, beyond what the highest load needs at the target."""
    longest_flap: int
    """Most changes in a row of which each turned the one before round within ten minutes."""


def score(run: Run, load: Sequence[float]) -> Score:
    """The score of a run under a load curve."""
    requests = run.waits.total()
    total = sum(ticks * count for ticks, count in run.waits.items())
    return Score(
        mean_s=total * TICK_S / requests if requests else 0.0,
        p95_s=_quantile(run.waits, 0.95),
        p99_s=_quantile(run.waits, 0.99),
        long_waits=sum(n for ticks, n in run.waits.items() if ticks * TICK_S > LONG_WAIT_S) / max(requests, 1),
        replica_hours=sum(run.present) / 3600,
        changes=len(_changes(run.targets)),
        overshoot=max(0, max(run.targets) - math.ceil(max(load))),
        longest_flap=_longest_flap(run.targets),
    )


def _quantile(waits: Counter[int], share: float) -> float:
    left = share * waits.total()
    for ticks in sorted(waits):
        left -= waits[ticks]
        if left <= 0:
            return ticks * TICK_S
    return 0.0


def _changes(targets: Sequence[int]) -> list[tuple[int, int]]:
    return [(second, after - before) for second, (before, after) in enumerate(pairwise(targets)) if after != before]


def _longest_flap(targets: Sequence[int]) -> int:
    longest = row = 0
    for (before, up), (after, again) in pairwise(_changes(targets)):
        row = row + 1 if (up > 0) != (again > 0) and after - before <= _FLAP_S else 0
        longest = max(longest, row)
    return longest
