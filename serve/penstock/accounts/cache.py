"""What a gateway remembers of stored keys, and how hard it may ask the store. Pure: the time is given. Used by
`directory`."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from penstock.accounts.account import Account

MOST_KNOWN = 50_000
MOST_UNKNOWN = 10_000


class Trust(Enum):
    """How far a memory may be used."""

    FRESH = "fresh"
    """As if the store had just said it."""
    DUE = "due"
    """The same, but ask the store again meanwhile."""
    STALE = "stale"
    """Only while the store cannot be asked."""
    NONE = "none"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store said of a key."""

    account: Account
    asked: float
    """When the store was asked: what changed since then, it did not say."""


class KeyCache:
    """Answers of the store, by the digests of keys. Bounded: the oldest go first.

    Args:
        life: seconds for which an answer is as good as the store's.
        outage: seconds for which a known key goes on while the store cannot be asked.
    """

    def __init__(self, life: float, outage: float) -> None:
        self._life = life
        self._outage = outage
        self._known: OrderedDict[bytes, Memory] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    def recall(self, digest: bytes, now: float) -> tuple[Account | None, Trust]:
        """What is known of a key, and how far to trust it. (None, FRESH): the store said that there is none."""
        if (memory := self._known.get(digest)) is not None:
            return memory.account, self._trust(now - memory.asked)
        if (asked := self._unknown.get(digest)) is not None and now - asked < self._life:
            return None, Trust.FRESH
        return None, Trust.NONE

    def note(self, digest: bytes, account: Account | None, asked: float) -> None:
        """The store's answer to a question of the time `asked`."""
        self._known.pop(digest, None)
        self._unknown.pop(digest, None)
        if account is None:
            self._unknown[digest] = asked
            if len(self._unknown) > MOST_UNKNOWN:
                self._unknown.popitem(last=False)
        else:
            self._known[digest] = Memory(account, asked)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)

    def _trust(self, age: float) -> Trust:
        if age < self._life:
            return Trust.DUE if age >= self._life / 2 else Trust.FRESH
        return Trust.STALE if age < max(self._outage, self._life) else Trust.NONE


class Allowance:
    """A bucket of look-ups: it holds `burst`, and `rate` come in each second.

    It bounds what a flood of made-up keys can ask of the store.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take one; False where there is none."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Outage:
    """Whether the store can be asked: after a failure only once in `every` seconds, until it answers."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next: float | None = None

    @property
    def is_on(self) -> bool:
        return self._next is not None

    def may_ask(self, now: float) -> bool:
        """Whether to ask now. Where it is on, the one who hears True is the only one for a while."""
        if self._next is None:
            return True
        if now < self._next:
            return False
        self._next = now + self._every
        return True

    def failed(self, now: float) -> None:
        """The store did not answer."""
        self._next = now + self._every

    def ended(self) -> None:
        """The store answered."""
        self._next = None
