"""The requests that wait for a replica of one model: their order, their bounds, their time. Used by `pool`.

Accounts are served in turn, and within an account who came first (`turns`). As many are held as the bound allows, and
one more is refused: at once where it is known that nothing can come yet, else after the moment that a free replica
would take. It is not refused where another account has more than its part of the room: then the last one of that
account is. A request whose replica broke was let in already, so it waits before all others and is never refused for
want of room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from penstock.gateway.errors import GatewayError
from penstock.gateway.turns import Holding, Line, Turns, who_gives_way

MOMENT = 0.5
"""Seconds. Taking a lease where replicas are free takes milliseconds; a request that waits longer than this is held."""

NOBODY = Line()
"""Where nobody is asked who it is, all are one account."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HoldBounds:
    """Times in seconds. Defaults as in the document."""

    requests: int = 256
    seconds: float = 600.0
    moment: float = MOMENT


class Refusals(Protocol):
    """What those are told who may not wait, or not any longer."""

    def full(self, held: int) -> GatewayError: ...
    def too_long(self) -> GatewayError: ...


class Waiter(Generic[T]):
    """A request in the queue. `future` gets what it waits for, or the error that it is refused with."""

    __slots__ = ("again", "future", "held", "line", "since", "timer")

    def __init__(self, future: asyncio.Future[T], since: float, line: Line, *, again: bool) -> None:
        self.future = future
        self.since = since
        """When it began to wait, on the loop's clock."""
        self.line = line
        self.again = again
        self.held = False
        self.timer: asyncio.TimerHandle | None = None


class WaitingQueue(Generic[T]):
    """Belongs to one event loop.

    Args:
        bounds: how many may be held, and how long.
        refusals: what to say.
        coming: whether replicas are known to be on their way to those who wait, one round trip each: then nobody is
            refused.
        starved: whether it is known that there is no replica: then a request is held from its first moment.
    """

    def __init__(
        self, bounds: HoldBounds, refusals: Refusals, *, coming: Callable[[], bool], starved: Callable[[], bool]
    ) -> None:
        self._bounds = bounds
        self._refusals = refusals
        self._coming = coming
        self._starved = starved
        self._loop = asyncio.get_running_loop()
        self._waiters: Turns[Waiter[T]] = Turns()
        self._held = 0
        self._holdings: dict[str, Holding] = {}
        """Of accounts; those who wait again have no part in it."""

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def held(self) -> int:
        """Those that are known to wait for more than a round trip."""
        return self._held

    def enter(self, line: Line = NOBODY, *, again: bool = False, waited: float = 0.0) -> Waiter[T]:
        """Join the queue; `leave` it in any case. Raises what `Refusals.full` says.

        Args:
            line: whose request it is.
            again: the request was served before, and its replica broke.
            waited: seconds that it has waited before; they count.
        """
        starved = self._starved()
        # Without any bound (0) a free replica still gets its moment.
        crowded = not again and self._full() and (starved or (self._held and not self._coming()))
        if crowded and who_gives_way(self._holdings, line) is None:
            raise self._refusals.full(self._held)
        waiter: Waiter[T] = Waiter(self._loop.create_future(), self._loop.time() - waited, line, again=again)
        if again:
            self._waiters.enter_first(waiter)
        else:
            self._waiters.enter(waiter, line)
        if starved:
            self._make_room(waiter)
            self._hold(waiter)
        else:
            waiter.timer = self._loop.call_later(self._bounds.moment, self._look, waiter)
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """It is served, refused or gone. Its place is free."""
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
        self._let_go(waiter)
        self._waiters.leave(waiter)

    def next(self) -> Waiter[T] | None:
        """Who is served next, out of the queue; None where nobody waits."""
        while (waiter := self._waiters.next()) is not None:
            self._let_go(waiter)
            if not waiter.future.done():
                return waiter
        return None

    def refuse_all(self, error: Callable[[], GatewayError]) -> None:
        """Nothing will come any more."""
        for waiter in list(self._waiters):
            if not waiter.future.done():
                waiter.future.set_exception(error())

    def _full(self) -> bool:
        return self._held >= self._bounds.requests

    def _left(self, waiter: Waiter[T]) -> float:
        return max(waiter.since + self._bounds.seconds - self._loop.time(), 0.0)

    def _look(self, waiter: Waiter[T]) -> None:
        """A moment has passed."""
        if waiter.future.done():
            return
        left = self._left(waiter)
        if self._coming() and left:
            waiter.timer = self._loop.call_later(min(self._bounds.moment, left), self._look, waiter)
        elif not self._make_room(waiter):
            waiter.future.set_exception(self._refusals.full(self._held))
        else:
            self._hold(waiter)

    def _make_room(self, newcomer: Waiter[T]) -> bool:
        """Whether it may be held. Another may be refused for it."""
        if newcomer.again or not self._full():
            return True
        if (giver := who_gives_way(self._holdings, newcomer.line)) is None:
            return False
        latest = next(waiter for waiter in self._waiters.latest_of(giver) if waiter.held)
        self._let_go(latest)
        if not latest.future.done():
            latest.future.set_exception(self._refusals.full(self._held + 1))
        return True

    def _hold(self, waiter: Waiter[T]) -> None:
        waiter.held = True
        self._held += 1
        self._note(waiter, 1)
        waiter.timer = self._loop.call_later(self._left(waiter), self._expire, waiter)

    def _expire(self, waiter: Waiter[T]) -> None:
        if not waiter.future.done():
            waiter.future.set_exception(self._refusals.too_long())

    def _let_go(self, waiter: Waiter[T]) -> None:
        if waiter.held:
            waiter.held = False
            self._held -= 1
            self._note(waiter, -1)

    def _note(self, waiter: Waiter[T], change: int) -> None:
        if waiter.again:
            return
        account, share = waiter.line.account, waiter.line.share
        places = self._holdings.get(account, Holding(0)).places + change
        if places:
            self._holdings[account] = Holding(places, share)
        else:
            self._holdings.pop(account, None)
