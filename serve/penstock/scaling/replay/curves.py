"""Load curves: how much comes when. All are made up; the bursty one only looks recorded. Used by `scenarios`.

Load is counted in replicas: 1 keeps one replica at its target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import TypeAlias

Curve: TypeAlias = tuple[float, ...]
"""Load in each second."""

MINUTE, HOUR = 60, 3600


def _drawn(seconds: int, load: Callable[[int], float]) -> Curve:
    return tuple(load(second) for second in range(seconds))


def constant(load: float, seconds: int) -> Curve:
    """The same all the time."""
    return _drawn(seconds, lambda _: load)


def step(before: float, after: float, at: int, seconds: int) -> Curve:
    """One load, then another."""
    return _drawn(seconds, lambda second: before if second < at else after)


def spike(base: float, peak: float, at: int, lasting: int, seconds: int) -> Curve:
    """A load that is much higher for a while."""
    return _drawn(seconds, lambda second: peak if at <= second < at + lasting else base)


def ramp(low: float, high: float, *, rising: int, staying: int, falling: int, after: int) -> Curve:
    """Evenly up, a while there, evenly down, a while there."""

    def load(second: int) -> float:
        if second < rising:
            return low + (high - low) * second / rising
        if second < rising + staying:
            return high
        return max(low, high - (high - low) * (second - rising - staying) / falling)

    return _drawn(rising + staying + falling + after, load)


def day(low: float, high: float, seed: int) -> Curve:
    """24 hours with a quiet night and a peak in the afternoon, and noise of a tenth that changes within minutes."""
    draw = Random(seed)  # noqa: S311  # chance that can be repeated
    noise = [draw.gauss(0, 0.1) for _ in range(24 * HOUR // (3 * MINUTE) + 2)]

    def load(second: int) -> float:
        hour = second / HOUR
        busy = (1 - math.cos(2 * math.pi * (hour - 3) / 24)) / 2
        place, part = divmod(second / (3 * MINUTE), 1)
        wave = noise[int(place)] * (1 - part) + noise[int(place) + 1] * part
        return max(0.0, (low + (high - low) * busy * math.sqrt(busy)) * (1 + wave))

    return _drawn(24 * HOUR, load)


def on_and_off(load: float, busy: int, silent: int, times: int) -> Curve:
    """Work for a while and then nothing at all, again and again."""
    return _drawn(times * (busy + silent), lambda second: load if second % (busy + silent) >= silent else 0.0)


def bursty(loads: tuple[float, ...], lasting: tuple[float, ...], seconds: int, seed: int) -> Curve:
    """A Markov-modulated process: each of `loads` lasts a random time with a mean of `lasting` seconds, and another
    follows."""
    draw = Random(seed)  # noqa: S311  # chance that can be repeated

    def loads_in_turn() -> Iterator[float]:
        state = 0
        while True:
            yield from (loads[state] for _ in range(max(1, round(draw.expovariate(1 / lasting[state])))))
            state = draw.choice([other for other in range(len(loads)) if other != state])

    turns = loads_in_turn()
    return tuple(next(turns) for _ in range(seconds))
