"""What a place of counters does, and in what words: the seam between `limiter` and `memory`, `redis`.

A request is let in by all its counters or by none, in one step. What it asked for stays counted until it is settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.accounts.limits.rules import Charge, Kind

BUCKETS: Final = 120
WIDTH: Final = 500
"""A window is a minute: so many buckets, of so many milliseconds each. What was let in counts until its bucket is a
minute old as a whole, so no minute, wherever it begins, has more than the limit, and at full load there is at most one
bucket in 120 less than the limit."""

LEASE: Final = 15.0
"""Seconds after which a request in progress that nobody renews counts no more: its gateway was killed."""
RENEW: Final = 5.0
"""Seconds between two renewals."""


@dataclass(frozen=True, slots=True)
class State:
    """What a counter says of a charge."""

    fits: bool
    used: int
    """With the charge, where the request was let in."""
    wait: int = 0
    """Milliseconds until it fits; 0 where it does, or where nobody knows."""
    reset: int = 0
    """Milliseconds until a window is empty, if nothing more comes."""
    bucket: int = 0
    """Where a window noted the charge."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The states of all charges, in their order."""

    states: tuple[State, ...]

    @property
    def admitted(self) -> bool:
        return all(state.fits for state in self.states)


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of one counter, after a request was let in."""

    kind: Kind
    counter: str
    amount: int = 0
    """Of a window: how much more it was than its charge, or less. Of a budget: what was taken."""
    bucket: int = 0
    """Of a window: what the charge's state said."""
    lease: str = ""
    """Of slots: who is done."""
    life: int = 0
    """Of a budget: milliseconds for which it must be kept."""


class CountersGoneError(Exception):
    """The place of counters cannot be reached."""


class Counters(Protocol):
    """A place of counters."""

    @property
    def gone(self) -> bool:
        """Whether it is known that it cannot be reached."""

    async def admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        """Charge all counters, or none where one of them has no room. Raises CountersGoneError. When cancelled,
        nothing stays charged.

        Args:
            lease: of this request alone; held in all its slots until an entry ends it.
        """

    def settle(self, entries: Sequence[Entry]) -> None:
        """Change counters soon. Never fails; what cannot be changed now is kept, as far as it matters."""

    async def close(self) -> None:
        """Change what is to be changed, and stop."""


def undone(lease: str, charges: Sequence[Charge], verdict: Verdict) -> list[Entry]:
    """Entries that take all back of a request that was let in."""
    entries: list[Entry] = []
    for charge, state in zip(charges, verdict.states, strict=True):
        kind = charge.rule.kind
        if kind is Kind.WINDOW:
            entries.append(Entry(kind, charge.counter, -charge.amount, state.bucket))
        elif kind is Kind.SLOTS:
            entries.append(Entry(kind, charge.counter, lease=lease))
    return entries
