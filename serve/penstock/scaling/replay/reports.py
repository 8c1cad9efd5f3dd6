"""Reports on their way to the one who decides: late, and now and then lost. Used by the policies."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Line(NamedTuple):
    """How well reports travel."""

    delay_s: float = 1.0
    """Seconds from sending to arrival."""
    lost: float = 0.0
    """Share of reports that never arrive."""


class Wire(Generic[T]):
    """What one sender has reported, as its receiver knows it."""

    def __init__(self, line: Line, chance: Random, forgotten_after_s: float | None = None) -> None:
        self._line = line
        self._chance = chance
        self._forgotten_after_s = forgotten_after_s
        self._travelling: deque[tuple[float, T]] = deque()
        self._arrived: tuple[float, T] | None = None

    def send(self, now: float, report: T) -> None:
        """Sends a report; whether it is lost is left to chance."""
        if self._chance.random() >= self._line.lost:
            self._travelling.append((now, report))

    def latest(self, now: float) -> tuple[float, T] | None:
        """When the last report that has arrived was sent, and the report; None without one, or if it is forgotten."""
        while self._travelling and self._travelling[0][0] + self._line.delay_s <= now:
            self._arrived = self._travelling.popleft()
        if self._arrived and self._forgotten_after_s is not None:
            received = self._arrived[0] + self._line.delay_s
            if now - received >= self._forgotten_after_s:
                self._arrived = None
        return self._arrived
