"""How long a model takes to start, from its replicas' reports, and so when another try makes sense. Pure.

Used by `catalog`, which reads the reports, and by `app`, which remembers: a replica that stops takes its report along,
and a model at zero would be unknown again. Every time is measured by one clock, the replica's own or this process's,
never by the difference of two.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from penstock.board import ReplicaReport

REMEMBERED = 5
"""Starts of a model that count: the last ones. Its weights may have been cached since the first."""

SHORTEST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds that `Retry-After` says. OpenAI's and Anthropic's clients wait so long where they are told; past a minute or
two they try again by their own, much shorter, count or not at all. The message says the whole time."""

_OVERDUE = 0.1
"""Share of a usual start that one is said to need still when it has taken longer than usual."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a model without a replica will have one, as far as is known. Times in seconds."""

    usual: float | None = None
    """What a start takes."""
    remaining: float | None = None
    """What the start that is on its way still needs; None where none is, or nothing is known."""

    @property
    def retry_after(self) -> float | None:
        """When another try makes sense; None where nothing is known."""
        expected = self.remaining if self.remaining is not None else self.usual
        return None if expected is None else min(max(expected, SHORTEST_RETRY), LONGEST_RETRY)

    @property
    def account(self) -> str:
        """The same in a sentence; empty where nothing is known."""
        if self.usual is None:
            return ""
        said = f"Its last starts took about {max(round(self.usual), 1)} s"
        if self.remaining is None:
            return f"{said}."
        return f"{said}, and the one on its way needs about {max(round(self.remaining), 1)} s more."


class StartMemory:
    """What was seen of one model's starts."""

    def __init__(self) -> None:
        self._took: dict[str, float] = {}
        self._starting: float | None = None
        self._seen_at = 0.0

    def note(self, took: Iterable[tuple[str, float]], starting: float | None, now: float) -> None:
        """What the reports say now.

        Args:
            took: replicas and the seconds that their starts took, the latest last.
            starting: seconds for which a replica has been starting; None where none is.
            now: of this process's steady clock.
        """
        self._took |= dict(took)
        for replica in list(self._took)[:-REMEMBERED]:
            del self._took[replica]
        self._starting, self._seen_at = starting, now

    def outlook(self, now: float) -> Outlook:
        """What may be expected at `now`, of the same clock."""
        if not self._took:
            return Outlook()
        usual = statistics.median(self._took.values())
        if self._starting is None:
            return Outlook(usual)
        return Outlook(usual, max(usual - self._starting - max(now - self._seen_at, 0.0), usual * _OVERDUE))


def last_starts(reports: Iterable[ReplicaReport]) -> tuple[tuple[str, float], ...]:
    """Replicas of one model that became ready last, and the seconds that it took them; the latest last."""
    known = [
        ((report.began or 0.0) + took, report.replica, took)
        for report in reports
        if (took := report.start_seconds) is not None
    ]
    return tuple((replica, took) for _, replica, took in sorted(known)[-REMEMBERED:])
