"""A minute's limit: never over it in any minute, and next to nothing under it. In virtual time."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts.limits.counters import BUCKETS, Entry, Verdict
from penstock.accounts.limits.memory import SWEEP, MemoryCounters
from penstock.accounts.limits.rules import Charge, Kind, Period, Rule, Unit

MINUTE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def window(limit: int, amount: int = 1, name: str = "w") -> Charge:
    return Charge(Rule("key", "a", name, Kind.WINDOW, Unit.TOKENS, limit, name), name, amount)


def slots(limit: int) -> Charge:
    return Charge(Rule("key", "a", "s", Kind.SLOTS, Unit.REQUESTS, limit, "s"), "s")


def budget(limit: int) -> Charge:
    return Charge(Rule("key", "a", "b", Kind.BUDGET, Unit.TOKENS, limit, "b", Period.DAY), "b")


def ask(counters: MemoryCounters, *charges: Charge, lease: str = "one") -> Verdict:
    """Nothing in memory waits, so it needs no loop."""
    asking = counters.admit(lease, charges)
    with pytest.raises(StopIteration) as done:
        asking.send(None)
    verdict = done.value.value
    assert isinstance(verdict, Verdict)
    return verdict


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 7)), max_size=120), st.integers(1, 20))
def test_no_minute_has_more_than_the_limit(steps: list[tuple[float, int]], limit: int):
    clock = Clock()
    counters = MemoryCounters(clock)
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        clock.now += pause
        if ask(counters, window(limit, amount)).admitted:
            taken.append((clock.now, amount))
    times = [when for when, _ in taken]
    for position, when in enumerate(times):
        first = bisect_left(times, when - MINUTE + 0.001)
        assert sum(amount for _, amount in taken[first : position + 1]) <= limit


@given(st.integers(1, 400), st.floats(0.001, 0.3))
def test_under_full_load_next_to_nothing_of_the_limit_is_lost(limit: int, pause: float):
    clock = Clock()
    counters = MemoryCounters(clock)
    began, taken = clock.now, 0
    while clock.now - began < 10 * MINUTE:
        verdict = ask(counters, window(limit))
        if verdict.admitted:
            taken += 1
        else:
            clock.now += max(verdict.states[0].wait / 1000, pause)
    assert taken <= 10 * limit
    assert taken >= 10 * limit * (1 - 1 / BUCKETS) - limit * (pause + 0.5) / MINUTE * 10


def test_who_waits_as_long_as_told_is_let_in_and_not_before():
    clock = Clock()
    counters = MemoryCounters(clock)
    for _ in range(3):
        assert ask(counters, window(10, 3)).admitted
        clock.now += 7.0
    refused = ask(counters, window(10, 5))
    assert not refused.admitted
    clock.now += (refused.states[0].wait - 1) / 1000
    assert not ask(counters, window(10, 5)).admitted
    clock.now += 0.001
    assert ask(counters, window(10, 5)).admitted


def test_it_is_empty_when_it_said():
    clock = Clock()
    counters = MemoryCounters(clock)
    reset = ask(counters, window(10, 10)).states[0].reset
    assert MINUTE <= reset / 1000 <= MINUTE + 0.5
    clock.now += reset / 1000
    assert ask(counters, window(10, 10)).admitted


def test_one_counter_without_room_leaves_the_others_as_they_were():
    counters = MemoryCounters(Clock())
    assert not ask(counters, window(10, 1), slots(1), window(3, 4, "narrow")).admitted
    verdict = ask(counters, window(10, 1), slots(1))
    assert [state.used for state in verdict.states] == [1, 1]


def test_what_was_estimated_too_high_is_given_back_and_too_low_is_taken():
    clock = Clock()
    counters = MemoryCounters(clock)
    bucket = ask(counters, window(100, 80)).states[0].bucket
    clock.now += 10
    counters.settle([Entry(Kind.WINDOW, "w", -70, bucket)])
    assert ask(counters, window(100, 0)).states[0].used == 10
    counters.settle([Entry(Kind.WINDOW, "w", 95, bucket)])
    assert ask(counters, window(100, 0)).states[0].used == 105
    assert not ask(counters, window(100, 1)).admitted


def test_what_is_given_back_too_late_is_not_given_twice():
    clock = Clock()
    counters = MemoryCounters(clock)
    bucket = ask(counters, window(100, 80)).states[0].bucket
    clock.now += 2 * MINUTE
    assert ask(counters, window(100, 60)).admitted
    counters.settle([Entry(Kind.WINDOW, "w", -70, bucket)])
    assert ask(counters, window(100, 0)).states[0].used == 60


def test_slots_are_free_when_their_requests_end():
    counters = MemoryCounters(Clock())
    assert ask(counters, slots(2), lease="a").admitted
    assert ask(counters, slots(2), lease="b").admitted
    assert not ask(counters, slots(2), lease="c").admitted
    counters.settle([Entry(Kind.SLOTS, "s", lease="a"), Entry(Kind.SLOTS, "s", lease="a")])
    assert ask(counters, slots(2), lease="c").admitted
    assert not ask(counters, slots(2), lease="d").admitted


def test_a_budget_is_over_when_as_much_was_taken():
    counters = MemoryCounters(Clock())
    assert ask(counters, budget(100)).admitted
    counters.settle([Entry(Kind.BUDGET, "b", 99, life=1000)])
    assert ask(counters, budget(100)).admitted
    counters.settle([Entry(Kind.BUDGET, "b", 99, life=1000)])
    assert not ask(counters, budget(100)).admitted


def test_nothing_is_kept_for_ever():
    clock = Clock()
    counters = MemoryCounters(clock)
    for number in range(100):
        lease = f"{number}"
        assert ask(counters, window(1, 1, lease), slots(1), lease=lease).admitted
        counters.settle([Entry(Kind.SLOTS, "s", lease=lease), Entry(Kind.BUDGET, f"b{number}", 1, life=1000)])
    assert len(counters) == 200
    clock.now += 2 * SWEEP / 1000
    assert ask(counters, window(1, 1, "last")).admitted
    assert len(counters) == 1
    asyncio.run(counters.close())
