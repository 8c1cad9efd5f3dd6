"""The requests that wait for a replica of one model: their order, their bounds, their time. Used by `pool`.

Who comes first is served first. As many are held as the bound allows, and one more is refused: at once where it is
known that nothing can come yet, else after the moment that a free replica would take. A request whose replica broke was
let in already, so it waits before all others and is never refused for want of room.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from penstock.gateway.errors import GatewayError

MOMENT = 0.5
"""Seconds. Taking a lease where replicas are free takes milliseconds; a request that waits longer than this is held."""

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

    __slots__ = ("again", "future", "held", "since", "timer")

    def __init__(self, future: asyncio.Future[T], since: float, *, again: bool) -> None:
        self.future = future
        self.since = since
        """When it began to wait, on the loop's clock."""
        self.again = again
        self.held = False
        self.timer: asyncio.TimerHandle | None = None


class WaitingQueue(Generic[T]):
    """Belongs to one event loop.

    Args:
        bounds: how many may be held, and how long.
        refusals: what to say.
        growing: whether more and more requests have been served within the last moment: then a crowd is on its way in,
            one round trip each, and nobody is refused.
        starved: whether it is known that there is no replica: then a request is held from its first moment.
    """

    def __init__(
        self, bounds: HoldBounds, refusals: Refusals, *, growing: Callable[[], bool], starved: Callable[[], bool]
    ) -> None:
        self._bounds = bounds
        self._refusals = refusals
        self._growing = growing
        self._starved = starved
        self._loop = asyncio.get_running_loop()
        self._waiters: OrderedDict[Waiter[T], None] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def held(self) -> int:
        """Those that are known to wait for more than a round trip."""
        return self._held

    def enter(self, *, again: bool = False, waited: float = 0.0) -> Waiter[T]:
        """Join the queue; `leave` it in any case. Raises what `Refusals.full` says.

        Args:
            again: the request was served before, and its replica broke.
            waited: seconds that it has waited before; they count.
        """
        starved = self._starved()
        # Without any bound (0) a free replica still gets its moment.
        if not again and self._full() and (starved or (self._held and not self._growing())):
            raise self._refusals.full(self._held)
        waiter: Waiter[T] = Waiter(self._loop.create_future(), self._loop.time() - waited, again=again)
        self._waiters[waiter] = None
        if again:
            self._waiters.move_to_end(waiter, last=False)
        if starved:
            self._hold(waiter)
        else:
            waiter.timer = self._loop.call_later(self._bounds.moment, self._look, waiter)
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """It is served, refused or gone. Its place is free."""
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
        if waiter.held:
            waiter.held = False
            self._held -= 1
        self._waiters.pop(waiter, None)

    def next(self) -> Waiter[T] | None:
        """Who is served next, out of the queue; None where nobody waits."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
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
        if self._growing() and left:
            waiter.timer = self._loop.call_later(min(self._bounds.moment, left), self._look, waiter)
        elif self._full() and not waiter.again:
            waiter.future.set_exception(self._refusals.full(self._held))
        else:
            self._hold(waiter)

    def _hold(self, waiter: Waiter[T]) -> None:
        waiter.held = True
        self._held += 1
        waiter.timer = self._loop.call_later(self._left(waiter), self._expire, waiter)

    def _expire(self, waiter: Waiter[T]) -> None:
        if not waiter.future.done():
            waiter.future.set_exception(self._refusals.too_long())
