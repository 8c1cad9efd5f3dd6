"""Whose turn it is among those who wait, and who gives way where there is no more room. Pure; used by `waiting`.

Accounts are served in turn, `share` requests of each at a turn, and within an account who came first. So what one
account sends delays another by a bound that does not depend on how much it sends: between a request that is its
account's only one and its service, every other account is served its share once.

Room goes to whoever has least of it: where all is taken, a newcomer gets a place of the account that has the most, if
that one still has as much as the newcomer's account then, by their shares. So an account is refused only where it has
its part, and one that is alone has all of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Line:
    """Where a request stands: with others of the same account."""

    account: str = ""
    share: int = 1
    """Requests that are served at a turn."""


class _Queue(Generic[T]):
    __slots__ = ("items", "left", "share")

    def __init__(self, share: int) -> None:
        self.items: OrderedDict[T, None] = OrderedDict()
        self.share = share
        self.left = share


class Turns(Generic[T]):
    """Who waits. Each is there once."""

    def __init__(self) -> None:
        self._first: OrderedDict[T, None] = OrderedDict()
        self._accounts: OrderedDict[str, _Queue[T]] = OrderedDict()
        self._account_of: dict[T, str] = {}

    def __len__(self) -> int:
        return len(self._first) + len(self._account_of)

    def __iter__(self) -> Iterator[T]:
        yield from self._first
        for queue in self._accounts.values():
            yield from queue.items

    def enter(self, item: T, line: Line) -> None:
        """Wait behind those of the same account; an account that has nobody waiting comes after all others."""
        queue = self._accounts.setdefault(line.account, _Queue(line.share))
        # A key's share may change while its requests wait.
        queue.share, queue.left = line.share, min(queue.left, line.share)
        queue.items[item] = None
        self._account_of[item] = line.account

    def enter_first(self, item: T) -> None:
        """Wait before all others, whoever they are."""
        self._first[item] = None
        self._first.move_to_end(item, last=False)

    def leave(self, item: T) -> None:
        """Wait no more. Nothing happens where it does not."""
        if item in self._first:
            del self._first[item]
        elif (account := self._account_of.pop(item, None)) is not None:
            queue = self._accounts[account]
            del queue.items[item]
            if not queue.items:
                del self._accounts[account]

    def next(self) -> T | None:
        """Whose turn it is; that one waits no more. None where nobody does."""
        if self._first:
            return self._first.popitem(last=False)[0]
        if not self._accounts:
            return None
        account, queue = next(iter(self._accounts.items()))
        item, _ = queue.items.popitem(last=False)
        del self._account_of[item]
        queue.left -= 1
        if not queue.items:
            del self._accounts[account]
        elif not queue.left:
            queue.left = queue.share
            self._accounts.move_to_end(account)
        return item

    def latest_of(self, account: str) -> Iterator[T]:
        """Those of an account, who came last first."""
        queue = self._accounts.get(account)
        return iter(()) if queue is None else reversed(queue.items)


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account has of the room."""

    places: int
    share: int = 1


def who_gives_way(holdings: Mapping[str, Holding], newcomer: Line) -> str | None:
    """The account that gives a place to a newcomer where all are taken; None where the newcomer is refused."""
    mine = holdings.get(newcomer.account, Holding(0)).places
    others = {account: has for account, has in holdings.items() if account != newcomer.account}
    most = max(others, key=lambda account: others[account].places / others[account].share, default=None)
    if most is None:
        return None
    left_to_it = (others[most].places - 1) / others[most].share
    return most if left_to_it >= (mine + 1) / newcomer.share else None
