"""Counters of one gateway, in its memory. Decides as `redis` does, by the same arithmetic; a test holds both to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from penstock.accounts.limits.counters import BUCKETS, WIDTH, Entry, State, Verdict
from penstock.accounts.limits.rules import Charge, Kind

SWEEP = 60_000
"""Milliseconds between two looks for counters that nobody needs any more."""


class Window:
    """What was let in within the last minute, by buckets. Times in milliseconds."""

    __slots__ = ("_buckets", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.total = 0

    def advance(self, now: int) -> None:
        """Forget what is older than a minute."""
        first = now // WIDTH - BUCKETS
        # They stand in the order of their time.
        while self._buckets and (oldest := next(iter(self._buckets))) < first:
            self.total -= self._buckets.pop(oldest)

    def wait(self, now: int, amount: int, limit: int) -> int:
        """Until `amount` more fits; 0 where it never does."""
        left = self.total
        for bucket, there in self._buckets.items():
            left -= there
            if left + amount <= limit:
                return _gone_at(bucket) - now
        return 0

    def reset(self, now: int) -> int:
        """Until all is forgotten."""
        return _gone_at(next(reversed(self._buckets))) - now if self._buckets else 0

    def add(self, now: int, amount: int) -> int:
        """Note something; in which bucket."""
        bucket = now // WIDTH
        self._change(bucket, amount)
        return bucket

    def correct(self, now: int, amount: int, bucket: int) -> None:
        """What is too much was taken now; what is too little is taken back from where it stands, if it still does."""
        if amount > 0:
            self.add(now, amount)
        elif bucket in self._buckets:
            self._change(bucket, -min(-amount, self._buckets[bucket]))

    def _change(self, bucket: int, amount: int) -> None:
        there = self._buckets.get(bucket, 0) + amount
        self.total += amount
        if there:
            self._buckets[bucket] = there
        else:
            self._buckets.pop(bucket, None)


class MemoryCounters:
    """Belongs to one event loop, if it is shared by tasks at all: nothing waits.

    Args:
        clock: seconds that never go back; for tests.
    """

    gone = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._slots: dict[str, set[str]] = {}
        self._budgets: dict[str, tuple[int, int]] = {}
        self._swept = 0

    def __len__(self) -> int:
        return len(self._windows) + len(self._slots) + len(self._budgets)

    async def admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        now = self._now()
        states = tuple(self._look(charge, now) for charge in charges)
        if not all(state.fits for state in states):
            return Verdict(states)
        return Verdict(
            tuple(self._take(lease, charge, state, now) for charge, state in zip(charges, states, strict=True))
        )

    def settle(self, entries: Sequence[Entry]) -> None:
        now = self._now()
        for entry in entries:
            if entry.kind is Kind.SLOTS:
                self._leave(entry.counter, entry.lease)
            elif entry.kind is Kind.BUDGET:
                spent, _ = self._budgets.get(entry.counter, (0, 0))
                self._budgets[entry.counter] = (spent + entry.amount, now + entry.life)
            elif entry.amount > 0 or entry.counter in self._windows:
                window = self._window(entry.counter, now)
                window.correct(now, entry.amount, entry.bucket)

    def learn(self, budget: str, spent: int, life: int) -> None:
        """What others know of a budget, where it is more than is known here."""
        mine, _ = self._budgets.get(budget, (0, 0))
        self._budgets[budget] = (max(mine, spent), self._now() + life)

    def forget(self) -> None:
        """Begin anew, but for budgets."""
        self._windows.clear()
        self._slots.clear()

    async def close(self) -> None:
        """Nothing is kept."""

    def _now(self) -> int:
        now = int(self._clock() * 1000)
        if now - self._swept >= SWEEP:
            self._swept = now
            self._sweep(now)
        return now

    def _sweep(self, now: int) -> None:
        for name, window in list(self._windows.items()):
            window.advance(now)
            if not window.total:
                del self._windows[name]
        self._budgets = {name: kept for name, kept in self._budgets.items() if kept[1] > now}

    def _window(self, name: str, now: int) -> Window:
        window = self._windows.setdefault(name, Window())
        window.advance(now)
        return window

    def _look(self, charge: Charge, now: int) -> State:
        rule = charge.rule
        if rule.kind is Kind.SLOTS:
            used = len(self._slots.get(charge.counter, ()))
            return State(used < rule.limit, used)
        if rule.kind is Kind.BUDGET:
            used, _ = self._budgets.get(charge.counter, (0, 0))
            return State(used < rule.limit, used)
        window = self._window(charge.counter, now)
        fits = window.total + charge.amount <= rule.limit
        wait = 0 if fits else window.wait(now, charge.amount, rule.limit)
        return State(fits, window.total, wait, window.reset(now))

    def _take(self, lease: str, charge: Charge, state: State, now: int) -> State:
        if charge.rule.kind is Kind.SLOTS:
            self._slots.setdefault(charge.counter, set()).add(lease)
            return State(fits=True, used=state.used + 1)
        if charge.rule.kind is Kind.BUDGET:
            return state
        window = self._windows[charge.counter]
        bucket = window.add(now, charge.amount)
        return State(True, window.total, 0, _gone_at(bucket) - now, bucket)

    def _leave(self, counter: str, lease: str) -> None:
        if (slots := self._slots.get(counter)) is not None:
            slots.discard(lease)
            if not slots:
                del self._slots[counter]


def _gone_at(bucket: int) -> int:
    return (bucket + BUCKETS + 1) * WIDTH
