"""One replica as the replay knows it: how fast it is at which load. Read by `fleet` and `curves`.

The figures are of the size of an 8-billion-parameter model on a 24 GiB card: one token of every stream is made in each
step of the engine, a step takes longer the more streams share it, and memory for the streams' context ends at `LIMIT`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist, fmean

TARGET = 16
"""Requests in progress per replica that all policies aim at."""

LIMIT = 32
"""Requests that one replica runs at once; what comes beyond waits in the gateway."""

_SLOWER = 1 / 80
"""What each further stream adds to a step of the engine, as a share of the step with one stream."""

_FIRST_TOKEN_S = 0.25
"""Time from the engine's taking a request to its first byte, alone."""

_MEDIAN_WORK_S, _SPREAD, _LENGTHS = 12.0, 0.7, 6


def _works() -> tuple[float, ...]:
    """Means of equally likely sixths of a log-normal: answers are short mostly, and some are long."""
    shape = NormalDist(0, _SPREAD)
    fine = [_MEDIAN_WORK_S * math.exp(shape.inv_cdf((place + 0.5) / 600)) for place in range(600)]
    edges = [600 * part // _LENGTHS for part in range(_LENGTHS + 1)]
    return tuple(fmean(fine[begin:end]) for begin, end in pairwise(edges))


WORKS = _works()
"""Seconds that answers take on a replica that does nothing else, each equally likely. A request is an index of it."""


def speed(load: float) -> float:
    """How fast each of `load` requests goes on, as a share of the speed of one alone."""
    return 1 / (1 + _SLOWER * max(load - 1, 0))


def first_byte_after(load: float) -> float:
    """Seconds from the engine's taking a request to its first byte, beside `load` others."""
    return _FIRST_TOKEN_S * (1 + load / TARGET)


def rate_at_target() -> float:
    """Requests a second that one replica finishes while it runs `TARGET` of them: the unit of the load curves."""
    return TARGET * speed(TARGET) / fmean(WORKS)
