"""Replicas that broke and are left alone for a while. Pure but for its own memory; used by `pool`."""

from __future__ import annotations

FIRST, LONGEST = 2.0, 16.0
"""Seconds that a replica is left alone after it broke once, and at most after it broke again and again."""

REMEMBERED = 30.0
"""Seconds past its quarantine after which a replica's faults are forgotten."""


class Quarantine:
    """Each fault in a row doubles the time. Replicas come and go under ever new names, so old ones are forgotten."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, replica: str, now: float) -> None:
        """The replica broke at `now` (seconds of any one clock)."""
        until, length = self._until.get(replica, (0.0, 0.0))
        if now >= until:  # many requests that break together are one fault
            length = min(max(length * 2, FIRST), LONGEST)
            self._until[replica] = (now + length, length)
        self._until = {key: value for key, value in self._until.items() if value[0] + REMEMBERED > now}

    def forgive(self, replica: str, now: float) -> None:
        """The replica answered: its faults no longer count. Answers to older requests end no quarantine."""
        if self._until and not self.holds(replica, now):
            self._until.pop(replica, None)

    def holds(self, replica: str, now: float) -> bool:
        """Whether the replica is to be left alone at `now`."""
        return replica in self._until and self._until[replica][0] > now
