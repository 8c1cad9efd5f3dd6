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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson
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
from penstock.accounts.redis_pool import connect

logger = logging.getLogger(__name__)

PREFIX: Final = "{penstock}:"
"""Of all keys. The braces put them together where Redis is a cluster, which scripts need."""
PROBE: Final = "probe"
PATIENCE: Final = 2.0
"""Seconds that Redis has to answer."""
TRY_AGAIN: Final = 0.25
"""Seconds between two tries while it cannot be reached."""
AT_ONCE: Final = 32
"""Requests that are let in by one step."""
MOST_OVER: Final = 1000
"""Leases that a question carries along at most."""
BATCH: Final = 500
"""Changes in one step: Redis does nothing else meanwhile."""
REMEMBERED: Final = 86_400_000
"""Milliseconds for which Redis knows what a gateway sent last."""

_UNREACHABLE = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Question:
    lease: str
    charges: Sequence[Charge]
    verdict: asyncio.Future[Verdict]


class RedisCounters:
    """Belongs to one event loop. `open` it first. Raises ValueError where the address is none.

    Args:
        address: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        clock: milliseconds, instead of Redis' own clock; for tests.
    """

    def __init__(self, address: str, clock: Callable[[], int] | None = None) -> None:
        self._redis = connect(address, PATIENCE)
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
        self._questions: list[_Question] = []
        self._asked = asyncio.Event()
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
            loop.create_task(self._ask_all(), name="limits-ask"),
        ]

    async def admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        if self._gone:
            raise CountersGoneError
        question = _Question(lease, charges, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        self._asked.set()
        try:
            return await question.verdict
        except asyncio.CancelledError:
            # The client may leave in the moment in which the verdict comes.
            if not question.verdict.cancelled() and question.verdict.exception() is None:
                self._take_back(question, question.verdict.result())
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

    # What is asked now: while Redis answers one batch, the next one gathers

    async def _ask_all(self) -> None:
        batch: list[_Question] = []
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                while self._questions:
                    batch, self._questions = self._questions[:AT_ONCE], self._questions[AT_ONCE:]
                    # Not those whose clients have left already.
                    batch = [question for question in batch if not question.verdict.done()]
                    if batch:
                        await self._answer(batch)
        finally:
            _give_up([*batch, *self._questions])

    async def _answer(self, batch: list[_Question]) -> None:
        try:
            verdicts = await self._verdicts(batch)
        except CountersGoneError:
            _give_up(batch)
            return
        for question, verdict in zip(batch, verdicts, strict=True):
            self._tell(question, verdict)

    async def _verdicts(self, batch: list[_Question]) -> list[Verdict]:
        places: dict[str, int] = {}
        requests = []
        for question in batch:
            charges = [
                (places.setdefault(c.counter, len(places) + 1), c.rule.kind.value, c.rule.limit, c.amount)
                for c in question.charges
            ]
            requests.append({"lease": question.lease, "charges": charges})
        # Whoever has its answer may ask again before Redis has heard that it has.
        over = {
            counter: list(islice(leaving, MOST_OVER)) for counter in places if (leaving := self._leaving.get(counter))
        }
        asked = {
            "life": int(LEASE * 1000),
            "requests": requests,
            "over": {str(places[counter]): leases for counter, leases in over.items()},
        }
        keys = [PREFIX + counter for counter in places]
        said = await self._ask(self._admit_script, keys, [self._now(), orjson.dumps(asked)])
        for counter, leases in over.items():
            self._left(counter, leases)
        states = map(_state, said.split(b"\n"))
        return [Verdict(tuple(islice(states, len(question.charges)))) for question in batch]

    def _tell(self, question: _Question, verdict: Verdict) -> None:
        if verdict.admitted:
            slots = [charge.counter for charge in question.charges if charge.rule.kind is Kind.SLOTS]
            if slots:
                self._held[question.lease] = slots
        if question.verdict.done():
            # Its client has left.
            self._take_back(question, verdict)
        else:
            question.verdict.set_result(verdict)

    def _take_back(self, question: _Question, verdict: Verdict) -> None:
        if verdict.admitted:
            self.settle(undone(question.lease, question.charges, verdict))

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
            async with asyncio.timeout(PATIENCE):
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
            async with asyncio.timeout(PATIENCE):
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


def _give_up(questions: Iterable[_Question]) -> None:
    for question in questions:
        if not question.verdict.done():
            question.verdict.set_exception(CountersGoneError())


def _state(line: bytes) -> State:
    fits, used, wait, reset, bucket = map(int, line.split())
    return State(bool(fits), used, wait, reset, bucket)


def _other(entry: Entry) -> int | str:
    if entry.kind is Kind.SLOTS:
        return entry.lease
    return entry.life if entry.kind is Kind.BUDGET else entry.bucket
