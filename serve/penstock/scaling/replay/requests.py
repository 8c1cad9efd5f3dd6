"""Who asks: strangers who come as they like, or a crowd of which each waits for an answer before asking again. Used by
`scenarios`."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TypeAlias

from penstock.scaling.replay import engine
from penstock.scaling.replay.curves import Curve

Source: TypeAlias = Callable[[int, int], bytes]
"""Second and requests that are waiting or run → requests that come, each the index of its work in `engine.WORKS`."""


def strangers(curve: Curve, seed: int) -> Source:
    """Requests that come at random, as many on average as the load says, whether earlier ones are answered or not."""
    draw = Random(seed)  # noqa: S311  # chance that can be repeated
    unit = engine.rate_at_target()
    arrivals = [_drawn(_poisson(load * unit, draw), draw) for load in curve]
    return lambda second, _: arrivals[second]


def crowd(curve: Curve, seed: int) -> Source:
    """A full target of clients for each replica of load; each has one request in progress at any time."""
    draw = Random(seed)  # noqa: S311  # chance that can be repeated
    clients = [round(load * engine.TARGET) for load in curve]
    return lambda second, unanswered: _drawn(max(0, clients[second] - unanswered), draw)


def _drawn(count: int, draw: Random) -> bytes:
    return bytes(draw.choices(range(len(engine.WORKS)), k=count))


def _poisson(mean: float, draw: Random) -> int:
    if mean > 40:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    count, product, least = 0, draw.random(), math.exp(-mean)
    while product > least:
        count += 1
        product *= draw.random()
    return count
