"""Leases of one model, kept for a moment and lent to requests. Made by `fleet`, one a model.

What holds, also when tasks are cancelled at any point:
- every lease that the source gave is given back once;
- a finished lease serves the next request: accounts in turn, and of each in the order in which requests came;
- none is kept unused longer than `keep`, or used past its age `renew`;
- a replica that broke is left alone for a while, so that another try goes elsewhere;
- at most `hold_requests` requests are held before full or missing replicas, and each at most `hold_seconds`;
- when nobody waits any more, nothing is asked of the source any more: asking is what scales a model up from zero.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from penstock.gateway.leases import Lease, LeaseSource
from penstock.gateway.quarantine import Quarantine
from penstock.gateway.refusals import PoolRefusals
from penstock.gateway.starts import Outlook
from penstock.gateway.turns import Line
from penstock.gateway.waiting import MOMENT, NOBODY, HoldBounds, WaitingQueue

logger = logging.getLogger(__name__)

RETRY_FIRST, RETRY_LONGEST = 0.05, 1.0
"""Seconds until the source is asked again after it failed or had only replicas that broke; doubling."""

REJECTED = 4
"""Leases on broken replicas that are kept while asking for another, so that the source does not offer them again."""

MEETING = 10.0
"""Seconds that the very first lease may take where a replica is ready: whoever gives leases has to find it first, for a
whole crowd at once maybe. Till then nobody is refused."""

WARN_EVERY = 10.0
"""Seconds between warnings: hundreds of requests may wait for a source that fails."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Bounds of a pool; times in seconds. Defaults as in the document."""

    keep: float = 2.0
    renew: float = 5.0
    hold_requests: int = 256
    hold_seconds: float = 600.0
    moment: float = MOMENT
    meeting: float = MEETING


@dataclass(slots=True, eq=False)
class Lent:
    """A lease as the pool knows it; what `acquire` returns."""

    lease: Lease
    taken: float
    idle_since: float = 0.0

    @property
    def replica_id(self) -> str:
        return self.lease.replica.id


class LeasePool:
    """See the module's text. Belongs to one event loop.

    Args:
        model: the model's name, for messages.
        source: where leases come from.
        settings: bounds.
        account: what is known of why there is no replica, in whole sentences; empty where nothing is.
        outlook: when there may be one, while there is none.
        ready: whether a replica is ready; None where that is not known.
    """

    def __init__(
        self,
        model: str,
        source: LeaseSource,
        settings: PoolSettings | None = None,
        *,
        account: Callable[[], str] = lambda: "",
        outlook: Callable[[], Outlook] = Outlook,
        ready: Callable[[], bool | None] = lambda: None,
    ) -> None:
        self.model = model
        self._source = source
        self._settings = settings or PoolSettings()
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._refusals = PoolRefusals(model, self._settings.hold_seconds, account, outlook)
        bounds = HoldBounds(self._settings.hold_requests, self._settings.hold_seconds, self._settings.moment)
        self._queue: WaitingQueue[Lent] = WaitingQueue(
            bounds, self._refusals, coming=self._coming, starved=self._starved
        )
        self._idle: deque[Lent] = deque()
        self._out: set[Lent] = set()
        # The most leases that were out at once since the queue was last empty, and when that last grew.
        self._most_out = 0
        self._grew_at = -math.inf
        # Whether there ever was a lease, and since when a replica that is ready is waited for.
        self._met = False
        self._meeting_since: float | None = None
        self._takes: list[asyncio.Task[None]] = []
        self._returns: set[asyncio.Task[None]] = set()
        self._quarantine = Quarantine()
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_back = asyncio.Event()
        self._closed = False
        self._warn_from = 0.0

    @property
    def lent(self) -> int:
        """Leases that requests hold now."""
        return len(self._out)

    @property
    def idle(self) -> int:
        """Leases that are kept for the next request."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests that wait for a lease."""
        return len(self._queue)

    @property
    def held(self) -> int:
        """Those of them that are known to wait for more than a round trip."""
        return self._queue.held

    async def acquire(self, line: Line = NOBODY, *, again: bool = False, waited: float = 0.0) -> Lent:
        """A lease on a replica that is not known to be broken; `release` it in any case.

        Args:
            line: whose request it is: accounts are served in turn.
            again: the request had a lease before, and the replica broke: it waits before all others.
            waited: seconds that it has waited before, which count.

        Raises:
            BusyError: as many requests are held as may be.
            UnavailableError: no replica came within the time, or the pool is closed.
        """
        if self._closed:
            raise self._refusals.going_away()
        if (lent := self._pick_idle()) is not None:
            return lent
        waiter = self._queue.enter(line, again=again, waited=waited)
        self._top_up()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self._put(waiter.future.result())
            raise
        finally:
            self._queue.leave(waiter)
            self._left()

    def release(self, lent: Lent, *, broken: bool = False) -> None:
        """The request is over. `broken`: the replica refused or died; it gets no requests for a while."""
        self._out.discard(lent)
        if broken:
            self._quarantine.add(lent.replica_id, self._loop.time())
            self._drop_quarantined()
            self._return(lent)
        else:
            self._quarantine.forgive(lent.replica_id, self._loop.time())
            self._put(lent)

    async def close(self) -> None:
        """Refuse waiting requests, give all leases back; returns when the last request has released its own."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._queue.refuse_all(self._refusals.going_away)
        takes = list(self._takes)
        for take in takes:
            take.cancel()
        while self._idle:
            self._return(self._idle.pop())
        if takes:
            await asyncio.wait(takes)
        while self._out:
            self._all_back.clear()
            await self._all_back.wait()
        while self._returns:
            await asyncio.wait(self._returns)

    # Requests that wait

    def _coming(self) -> bool:
        return self._growing() or self._meeting()

    def _meeting(self) -> bool:
        if self._met or not self._ready():
            return False
        if self._meeting_since is None:
            self._meeting_since = self._loop.time()
        return self._loop.time() - self._meeting_since < self._settings.meeting

    def _growing(self) -> bool:
        return self._loop.time() - self._grew_at < self._settings.moment

    def _starved(self) -> bool:
        # Whoever said so may be late, so a lease says more.
        return self._ready() is False and not (self._out or self._idle or self._growing())

    def _left(self) -> None:
        if not self._queue:
            self._most_out = 0
        if len(self._takes) > len(self._queue):
            self._sweep_later()

    # Leases that come and go

    def _top_up(self) -> None:
        while len(self._takes) < len(self._queue) and not self._closed:
            self._takes.append(task := self._loop.create_task(self._take()))
            task.add_done_callback(self._forget_take)

    def _forget_take(self, task: asyncio.Task[None] | None) -> None:
        if task in self._takes:
            self._takes.remove(task)

    async def _take(self) -> None:
        pause = RETRY_FIRST
        rejected: list[Lent] = []
        try:
            while True:
                try:
                    lease = await self._source.take()
                except Exception as error:  # noqa: BLE001  # whatever the cluster says, requests are held, not dropped
                    self._warn("no lease", error)
                else:
                    self._met = True
                    lent = Lent(lease, self._loop.time())
                    if not self._quarantine.holds(lent.replica_id, self._loop.time()):
                        self._put(lent)
                        return
                    rejected.append(lent)
                    if len(rejected) < REJECTED:
                        continue
                    self._return_all(rejected)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_LONGEST)
        finally:
            # Here, not when the task's callbacks run: by then the served request may have asked for its next lease,
            # and this take would have been counted as one for it. A take that is cancelled before it runs gets no
            # further than the callback.
            self._forget_take(asyncio.current_task())
            self._return_all(rejected)

    def _put(self, lent: Lent) -> None:
        """To the first request that waits, else to the kept ones, else back."""
        now = self._loop.time()
        if self._closed or now - lent.taken >= self._settings.renew:
            self._return(lent)
            return
        if (waiter := self._queue.next()) is not None:
            self._out.add(lent)
            if len(self._out) > self._most_out:
                self._most_out = len(self._out)
                self._grew_at = now
            waiter.future.set_result(lent)
            return
        lent.idle_since = now
        self._out.discard(lent)
        self._idle.append(lent)
        self._sweep_later()

    def _pick_idle(self) -> Lent | None:
        now = self._loop.time()
        while self._idle:
            # The last used first: those that are not needed grow old and go.
            lent = self._idle.pop()
            if now - lent.idle_since <= self._settings.keep and now - lent.taken < self._settings.renew:
                self._out.add(lent)
                return lent
            self._return(lent)
        return None

    def _drop_quarantined(self) -> None:
        now = self._loop.time()
        for lent in [lent for lent in self._idle if self._quarantine.holds(lent.replica_id, now)]:
            self._idle.remove(lent)
            self._return(lent)

    def _return_all(self, many: list[Lent]) -> None:
        while many:
            self._return(many.pop())

    def _return(self, lent: Lent) -> None:
        self._out.discard(lent)
        task = self._loop.create_task(self._give_back(lent))
        self._returns.add(task)
        task.add_done_callback(self._returns.discard)
        if not self._out:
            self._all_back.set()
        if self._queue:
            self._top_up()

    async def _give_back(self, lent: Lent) -> None:
        try:
            await self._source.give_back(lent.lease)
        except Exception as error:  # noqa: BLE001  # the replica may be gone, and its lease with it
            self._warn("lease not given back", error)

    def _warn(self, what: str, error: Exception) -> None:
        if (now := self._loop.time()) >= self._warn_from:
            self._warn_from = now + WARN_EVERY
            logger.warning(what, extra={"fields": {"model": self.model, "error": repr(error)}})

    # Time

    def _sweep_later(self) -> None:
        if self._sweeper is None and not self._closed:
            delay = max(min(self._settings.keep, self._settings.renew, self._settings.moment) / 2, 0.01)
            self._sweeper = self._loop.call_later(delay, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._loop.time()
        stale = [
            lent
            for lent in self._idle
            if now - lent.idle_since > self._settings.keep or now - lent.taken >= self._settings.renew
        ]
        for lent in stale:
            self._idle.remove(lent)
            self._return(lent)
        for take in self._takes[len(self._queue) :]:
            take.cancel()
        if self._idle:
            self._sweep_later()
