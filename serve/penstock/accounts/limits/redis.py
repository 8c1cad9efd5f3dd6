"""Counters in a Redis, for all gateways together. Decides as `memory` does.

Whoever asks while Redis cannot be reached is told at once; it is tried again a few times a second. What requests took
of budgets meanwhile is kept, and told when it is back. Requests in progress hold their slots by leases that their
gateway renews, so those of a killed gateway are free after a few seconds, and a Redis that lost all its data learns of
those in progress within the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from penstock.accounts.limits.counters import (
    LEASE,
    RENEW,
    CountersGoneError,
    Entry,
    State,
    Verdict,
    undone,
)
from penstock.accounts.limits.rules import Charge, Kind
from penstock.accounts.limits.scripts import ADMIT, RENEW_SLOTS, SETTLE

logger = logging.getLogger(__name__)

PREFIX: Final = "{penstock}:"
"""Of all keys. The braces put them together where Redis is a cluster, which scripts need."""
PROBE: Final = "probe"
PATIENCE: Final = 2.0
"""Seconds that Redis has to answer."""
TRY_AGAIN: Final = 0.25
"""Seconds between two tries while it cannot be reached."""
CONNECTIONS: Final = 16
MOST_OVER: Final = 1000
"""Leases that a question carries along at most."""
BATCH: Final = 500
"""Changes in one step: Redis does nothing else meanwhile."""
REMEMBERED: Final = 86_400_000
"""Milliseconds for which Redis knows what a gateway sent last."""

_UNREACHABLE = (RedisError, OSError, TimeoutError)


class RedisCounters:
    """Belongs to one event loop. `open` it first. Raises ValueError where the address is none.

    Args:
        address: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        clock: milliseconds, instead of Redis' own clock; for tests.
    """

    def __init__(self, address: str, clock: Callable[[], int] | None = None) -> None:
        pool = BlockingConnectionPool.from_url(
            address,
            max_connections=CONNECTIONS,
            timeout=PATIENCE,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._clock = clock
        self._admit_script = self._redis.register_script(ADMIT)
        self._settle_script = self._redis.register_script(SETTLE)
        self._renew_script = self._redis.register_script(RENEW_SLOTS)
        self._name = secrets.token_hex(8)
        self._gone = True
        self._told = False
        self.was_there = False
        """Whether it could ever be reached."""
        self._held: dict[str, list[str]] = {}
        """Counters of slots, by the leases in them."""
        self._leaving: dict[str, set[str]] = {}
        """Leases that are over, by counters of slots, until Redis has heard of it."""
        self._entries: list[Entry] = []
        self._owed: dict[str, Entry] = {}
        """Of budgets, while Redis is gone."""
        self._batch: list[Entry] = []
        self._sent = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._lost = asyncio.Event()
        self._admitting: set[asyncio.Task[Verdict]] = set()
        self._work: list[asyncio.Task[None]] = []

    @property
    def gone(self) -> bool:
        """Whether it could not be reached when it was last tried."""
        return self._gone

    async def open(self) -> None:
        """Try to reach it, and go on trying. Never fails; `gone` says whether it is there."""
        await self._probe()
        loop = asyncio.get_running_loop()
        self._work = [
            loop.create_task(self._keep(), name="limits-keep"),
            loop.create_task(self._send(), name="limits-send"),
        ]

    async def admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        if self._gone:
            raise CountersGoneError
        task = asyncio.get_running_loop().create_task(self._admit(lease, charges))
        self._admitting.add(task)
        task.add_done_callback(self._admitting.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Whether Redis has heard of it, nobody knows yet.
            task.add_done_callback(partial(self._abandon, lease, charges))
            raise

    def settle(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.kind is Kind.SLOTS:
                self._held.pop(entry.lease, None)
                if not self._gone:
                    self._leaving.setdefault(entry.counter, set()).add(entry.lease)
            if not self._gone:
                self._entries.append(entry)
            elif entry.kind is Kind.BUDGET:
                self._owe(entry)
        if self._entries:
            self._wake.set()

    async def close(self) -> None:
        """Tell what is still to be told, for a moment, and end all connections."""
        if self._admitting:
            await asyncio.wait(self._admitting, timeout=PATIENCE)
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._gone and (self._entries or self._batch):
                    self._idle.clear()
                    self._wake.set()
                    await self._idle.wait()
        except TimeoutError:
            logger.warning("counters were not told of everything")
        for task in self._work:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work)
        await self._redis.aclose()

    async def _admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        # Whoever has its answer may ask again before Redis has heard that it has.
        over = {
            str(place): leaving[:MOST_OVER]
            for place, charge in enumerate(charges, start=1)
            if (leaving := list(self._leaving.get(charge.counter, ())))
        }
        asked = {
            "lease": lease,
            "life": int(LEASE * 1000),
            "charges": [(charge.rule.kind.value, charge.rule.limit, charge.amount) for charge in charges],
            "over": over,
        }
        keys = [PREFIX + charge.counter for charge in charges]
        said = await self._ask(self._admit_script, keys, [self._now(), orjson.dumps(asked)])
        verdict = Verdict(tuple(_state(line) for line in said.split(b"\n")))
        for place, leases in over.items():
            self._left(charges[int(place) - 1].counter, leases)
        if verdict.admitted and (slots := [c.counter for c in charges if c.rule.kind is Kind.SLOTS]):
            self._held[lease] = slots
        return verdict

    def _abandon(self, lease: str, charges: Sequence[Charge], task: asyncio.Task[Verdict]) -> None:
        if not task.cancelled() and task.exception() is None and (verdict := task.result()).admitted:
            self.settle(undone(lease, charges, verdict))

    # What is told later

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._gone and (self._batch or self._entries):
                await self._send_batch()
            self._idle.set()

    async def _send_batch(self) -> None:
        if not self._batch:
            self._batch, self._entries = self._entries[:BATCH], self._entries[BATCH:]
            self._sent += 1
        # One that got no answer is sent again as it was, with its number: it is done once.
        keys = [f"{PREFIX}settled:{self._name}"]
        places: dict[str, int] = {}
        entries = []
        for entry in self._batch:
            if (place := places.get(entry.counter)) is None:
                keys.append(PREFIX + entry.counter)
                place = places[entry.counter] = len(keys)
            entries.append((place, entry.kind.value, entry.amount, _other(entry)))
        told = {"number": self._sent, "life": REMEMBERED, "entries": entries}
        try:
            await self._ask(self._settle_script, keys, [self._now(), orjson.dumps(told)])
        except CountersGoneError:
            return
        for entry in self._batch:
            if entry.kind is Kind.SLOTS:
                self._left(entry.counter, [entry.lease])
        self._batch = []

    def _left(self, counter: str, leases: Sequence[str]) -> None:
        if (leaving := self._leaving.get(counter)) is not None:
            leaving.difference_update(leases)
            if not leaving:
                del self._leaving[counter]

    def _owe(self, entry: Entry) -> None:
        before = self._owed.get(entry.counter)
        amount = entry.amount + (before.amount if before is not None else 0)
        self._owed[entry.counter] = Entry(entry.kind, entry.counter, amount, life=entry.life)

    # Redis that goes and comes back

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRY_AGAIN if self._gone else RENEW):
                    await self._lost.wait()
            self._lost.clear()
            if self._gone:
                await self._probe()
            else:
                await self._renew()

    async def _probe(self) -> None:
        # What writes: a Redis that is full, or a copy of another, is of no use.
        try:
            await self._redis.connection_pool.disconnect(inuse_connections=False)
            keys, arguments = [PREFIX + PROBE], [self._now(), int(LEASE * 1000), self._name]
            await self._renew_script(keys=keys, args=arguments)
        except _UNREACHABLE as error:
            self._tell_gone(error)
            return
        if self._told:
            logger.warning("the counters of limits can be reached again")
        self._gone = self._told = False
        self.was_there = True
        self._entries += self._owed.values()
        self._owed = {}
        self._wake.set()
        await self._renew()

    async def _renew(self) -> None:
        """Say that requests are still in progress, also to a Redis that has forgotten them."""
        held = [(counter, lease) for lease, counters in self._held.items() for counter in counters]
        # Also where there are none: nobody may have asked it for long, and whoever looks at the metrics wants to know.
        asked = [(PROBE, self._name), *held]
        try:
            for first in range(0, len(asked), BATCH):
                part = asked[first : first + BATCH]
                keys = [PREFIX + counter for counter, _ in part]
                life = int(LEASE * 1000)
                await self._ask(self._renew_script, keys, [self._now(), life, *(lease for _, lease in part)])
        except CountersGoneError:
            return
        # What ended meanwhile may have been told before.
        self.settle([Entry(Kind.SLOTS, counter, lease=lease) for counter, lease in held if lease not in self._held])

    async def _ask(self, script: Any, keys: list[str], arguments: list[Any]) -> Any:
        try:
            try:
                return await script(keys=keys, args=arguments)
            except RedisConnectionError:
                # A connection that ended while nobody used it says nothing of Redis, and the others are as old.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                return await script(keys=keys, args=arguments)
        except _UNREACHABLE as error:
            if not self._gone:
                self._lose(error)
            raise CountersGoneError from None

    def _lose(self, error: BaseException) -> None:
        self._gone = True
        self._tell_gone(error)
        # Leases that nobody renews end by themselves.
        self._leaving.clear()
        entries, self._entries = self._entries, []
        for entry in entries:
            if entry.kind is Kind.BUDGET:
                self._owe(entry)
        self._idle.set()
        self._lost.set()

    def _tell_gone(self, error: BaseException) -> None:
        if not self._told:
            self._told = True
            reason = str(error) or type(error).__name__
            logger.error("the counters of limits cannot be reached", extra={"fields": {"reason": reason}})

    def _now(self) -> int | str:
        return "" if self._clock is None else self._clock()


def _state(line: bytes) -> State:
    fits, used, wait, reset, bucket = map(int, line.split())
    return State(bool(fits), used, wait, reset, bucket)


def _other(entry: Entry) -> int | str:
    if entry.kind is Kind.SLOTS:
        return entry.lease
    return entry.life if entry.kind is Kind.BUDGET else entry.bucket
