"""How Ray Serve 2.60 makes one number of the requests that its handles report. Used by `ray_default`.

Each source is a step function over time. They are summed, and the sum's mean since the last source began is what the
rule sees: between 20 and 40 s of the past with Ray's defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

Series: TypeAlias = Sequence[tuple[float, float]]
"""Times and values, in order; a value holds until the next."""


def merged(sources: Sequence[Series]) -> tuple[list[tuple[float, float]], float | None]:
    """The sum of several sources, and when the last of them began; None where that is after the sum's last change.

    As in Ray, a source counts only from its first value that is not zero, unless there is but one.
    """
    present = [source for source in sources if source]
    if len(present) <= 1:
        return [*present[0]] if present else [], None
    changes: dict[float, float] = {}
    for source in present:
        before = 0.0
        for time, value in source:
            if value != before:
                changes[time] = changes.get(time, 0.0) + value - before
            before = value
    total = 0.0
    series = []
    for time in sorted(changes):
        total += changes[time]
        series.append((time, total))
    begun = max(source[0][0] for source in present)
    if not series or begun > series[-1][0]:
        return series, None
    return series, max(begun, series[0][0])


def mean(series: Series, since: float | None, now: float) -> float:
    """Mean of a step function from `since`, or its beginning, until now; its last value is taken to hold."""
    if not series:
        return 0.0
    begin = series[0][0] if since is None else since
    end = max(now, series[-1][0] + 0.001)
    total = 0.0
    for (time, value), (until, _) in pairwise([*series, (end, 0.0)]):
        total += value * max(0.0, until - max(time, begin))
    return total / (end - begin)
