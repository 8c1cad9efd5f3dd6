"""Which reports are still being renewed, judged by the reader's own clock alone. Pure; called by `deployment`.

A report bears the wall clock of its writer, which on another node may be off by minutes, and any wall clock may jump.
So no two clocks are compared: a report is fresh while its stamp is seen to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class _Seen(NamedTuple):
    stamp: float
    unchanged: float
    """Seconds for which it was looked at and had this stamp."""


class Freshness:
    """What one reader saw of the stamps so far."""

    def __init__(self, limit: float, *, longest_gap: float) -> None:
        """
        Args:
            limit: seconds after which a report whose stamp does not change is stale.
            longest_gap: seconds that may lie between two looks. Of a longer time (the board was away, the machine
                slept) no more than this counts: nobody looked, so it says nothing of the writers.
        """
        self._limit = limit
        self._longest_gap = longest_gap
        self._looked_at: float | None = None
        self._seen: dict[str, _Seen] = {}

    def look(self, stamps: Mapping[str, float], now: float) -> frozenset[str]:
        """The keys that are fresh. A key that was not there at the last look counts as fresh.

        Args:
            stamps: all that is there, by key: when its writer wrote it, on the writer's clock.
            now: monotonic seconds of the reader.
        """
        passed = 0.0 if self._looked_at is None else min(max(now - self._looked_at, 0.0), self._longest_gap)
        self._looked_at = now
        self._seen = {key: self._renewed(key, stamp, passed) for key, stamp in stamps.items()}
        return frozenset(key for key, seen in self._seen.items() if seen.unchanged < self._limit)

    def _renewed(self, key: str, stamp: float, passed: float) -> _Seen:
        before = self._seen.get(key)
        if before is None or before.stamp != stamp:
            return _Seen(stamp, 0.0)
        return before._replace(unchanged=before.unchanged + passed)
