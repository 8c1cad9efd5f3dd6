"""Percentiles, medians and how sure they are. Pure; used by `summary`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A range that holds the true median with the probability `coverage` (0 to 1)."""

    low: float
    high: float
    coverage: float


class Estimate(NamedTuple):
    """A median of `size` values, and the interval around it."""

    median: float
    interval: Interval
    size: int


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, interpolated between neighbours.

    NaN where there are no values.
    """
    if not values:
        return math.nan
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    # Clamped: interpolating in floating point may step over the neighbours by the last bit.
    value = ordered[below] + (ordered[above] - ordered[below]) * (place - below)
    return min(max(value, ordered[below]), ordered[above])


def median(values: Sequence[float]) -> float:
    """The middle value; NaN where there are none."""
    return percentile(values, 0.5)


def median_interval(values: Sequence[float], coverage: float = 0.95) -> Interval:
    """The narrowest pair of order statistics, equally far from both ends, that holds the median with `coverage`.

    Assumes nothing about the distribution: of n values the number below the median is binomial. With fewer than six
    values no pair reaches 0.95; then it is the least and the greatest, and the interval's own coverage says so.
    """
    if not values:
        return Interval(math.nan, math.nan, 0.0)
    ordered = sorted(values)
    count = len(ordered)
    rank, covered = 0, 0.0
    for place, share in enumerate(_coverages(count)):
        if place and (share < coverage or place > (count - 1) // 2):
            break
        rank, covered = place, share
    return Interval(ordered[rank], ordered[count - 1 - rank], covered)


def estimate(values: Sequence[float]) -> Estimate:
    """The median of the values with its 95 % interval."""
    return Estimate(median(values), median_interval(values), len(values))


def _coverages(count: int) -> Iterator[float]:
    """Probabilities that the median lies between the values of rank 0 (the least and the greatest), 1, 2, ..."""
    ways, outside = 1, 0
    for below in range(count + 1):
        outside += ways
        # Integers divide exactly to the nearest float, where 0.5 ** count would underflow for many values.
        yield max(0.0, 1.0 - 2 * outside / (1 << count))
        ways = ways * (count - below) // (below + 1)
