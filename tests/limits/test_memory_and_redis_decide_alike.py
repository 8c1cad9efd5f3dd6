"""The two places of counters: whatever happens, they say the same. Over a real Redis, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.accounts.limits.counters import Counters, Entry, Verdict
from penstock.accounts.limits.memory import MemoryCounters
from penstock.accounts.limits.redis import RedisCounters
from penstock.accounts.limits.rules import Charge, Kind, Period, Rule, Unit
from support.gateways import LIMIT
from support.redis import empty, url_of
from support.servers import Server

pytestmark = pytest.mark.integration

BEGAN = 1_800_000_000_000
LEASES = ["a", "b", "c", "d"]

charges = st.lists(
    st.one_of(
        st.builds(
            lambda name, limit, amount: Charge(
                Rule("key", "a", name, Kind.WINDOW, Unit.TOKENS, limit, name), f"w{name}", min(amount, limit)
            ),
            st.sampled_from("xy"),
            st.integers(1, 30),
            st.integers(0, 30),
        ),
        st.builds(
            lambda limit: Charge(Rule("key", "a", "s", Kind.SLOTS, Unit.REQUESTS, limit, "s"), "s"), st.integers(1, 3)
        ),
        st.builds(
            lambda limit: Charge(Rule("key", "a", "b", Kind.BUDGET, Unit.TOKENS, limit, "b", Period.DAY), "b"),
            st.integers(1, 100),
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda charge: charge.counter,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 70_000)),
        st.tuples(st.just("admit"), charges, st.sampled_from(LEASES)),
        st.tuples(st.just("leave"), st.sampled_from(LEASES)),
        st.tuples(st.just("spend"), st.integers(1, 60)),
        st.tuples(st.just("correct"), st.sampled_from("xy"), st.integers(-30, 30), st.integers(0, 5)),
    ),
    max_size=30,
)


class Clock:
    """Milliseconds for Redis, seconds for the memory."""

    def __init__(self) -> None:
        self.now = BEGAN

    def milliseconds(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000


@asynccontextmanager
async def redis_counters(server: Server, clock: Clock | None = None) -> AsyncIterator[RedisCounters]:
    counters = RedisCounters(url_of(server), clock.milliseconds if clock is not None else None)
    await counters.open()
    assert not counters.gone
    try:
        yield counters
    finally:
        await counters.close()


async def told(counters: Counters) -> None:
    """Until what is settled is known there."""
    if isinstance(counters, RedisCounters):
        async with asyncio.timeout(LIMIT):
            while counters._entries or counters._batch:  # noqa: ASYNC110  # nobody else tells
                await asyncio.sleep(0)


async def play(counters: Counters, clock: Clock, moves: list[tuple[object, ...]]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    buckets: list[int] = []
    for move in moves:
        match move:
            case ("wait", int(milliseconds)):
                # Shorter than a lease, so that none ends by itself: memory has no killed gateways.
                clock.now += milliseconds
            case ("admit", list(asked), str(lease)):
                verdicts.append(await counters.admit(lease, asked))
                buckets += [state.bucket for state in verdicts[-1].states if state.bucket]
            case ("leave", str(lease)):
                counters.settle([Entry(Kind.SLOTS, "s", lease=lease)])
            case ("spend", int(amount)):
                counters.settle([Entry(Kind.BUDGET, "b", amount, life=86_400_000)])
            case ("correct", str(name), int(amount), int(back)) if buckets:
                counters.settle([Entry(Kind.WINDOW, f"w{name}", amount, buckets[-1 - back % len(buckets)])])
        await told(counters)
    return verdicts


@given(moves=steps)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_happens_both_say_the_same(redis_of_its_own: Server, moves: list[tuple[object, ...]]):
    # Leases last for 15 s of Redis; the memory's own last as long as their requests.
    moves = [move if move[0] != "wait" or not _has_slots(moves) else ("wait", min(move[1], 200)) for move in moves]

    async def both() -> tuple[list[Verdict], list[Verdict]]:
        clock = Clock()
        in_memory = await play(MemoryCounters(clock.seconds), clock, moves)
        clock = Clock()
        async with redis_counters(redis_of_its_own, clock) as counters:
            return in_memory, await play(counters, clock, moves)

    empty(redis_of_its_own)
    in_memory, in_redis = asyncio.run(both())
    assert in_redis == in_memory


def _has_slots(moves: list[tuple[object, ...]]) -> bool:
    return any(move[0] == "admit" and any(charge.counter == "s" for charge in move[1]) for move in moves)  # type: ignore[attr-defined]
