"""The world of the replay: what comes is served or waits, replicas cost while they are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.scaling.replay import engine
from penstock.scaling.replay.fleet import MOST_GROUPS, Fleet, Hardware
from penstock.scaling.replay.group import Group
from penstock.scaling.replay.requests import crowd, strangers
from penstock.scaling.replay.world import TICK_S, Run, Truth, replay

USUAL = Hardware()
KINDS = len(engine.WORKS)
REQUESTS = st.binary(max_size=200).map(lambda data: bytes(byte % KINDS for byte in data))


class Told:
    """A policy that is told its answers, and keeps what it saw."""

    def __init__(self, target: Callable[[Truth], int]) -> None:
        self.target = target
        self.seen: list[Truth] = []

    def decide(self, truth: Truth) -> int:
        self.seen.append(truth)
        return self.target(truth)


def played(
    arrivals: Sequence[bytes], policy: Told, *, initial: int = 1, hardware: Hardware = USUAL, lead_in: int = 0
) -> Run:
    """A run with just these arrivals."""
    fleet = Fleet(hardware, initial, seed=1)
    return replay(lambda second, _: arrivals[second], policy, fleet, lead_in=lead_in, seconds=len(arrivals))


@given(st.lists(REQUESTS, min_size=1, max_size=60), st.integers(0, 4), st.integers(0, 60))
def test_each_request_is_counted_once(arrivals: list[bytes], target: int, lead_in: int) -> None:
    policy = Told(lambda truth: target if truth.now % 7 else 2)
    run = played(arrivals, policy, hardware=Hardware(start_s=(1, 5, 9)), lead_in=min(lead_in, len(arrivals)))
    assert run.waits.total() == sum(len(requests) for requests in arrivals[lead_in:])


def test_a_request_that_finds_room_waits_for_its_first_token_alone() -> None:
    run = played([b"\0", b"", b""], Told(lambda truth: 1))
    assert run.waits == {round(engine.first_byte_after(0) / TICK_S): 1}


def test_what_one_replica_has_no_room_for_waits_until_there_is_some() -> None:
    run = played([bytes(engine.LIMIT + 1)] + [b""] * 60, Told(lambda truth: 1))
    shortest = engine.WORKS[0] / engine.speed(engine.LIMIT)
    *_, last = sorted(run.waits)
    assert run.waits[last] == 1
    assert last * TICK_S == pytest.approx(shortest + engine.first_byte_after(0), abs=1.5)


def test_waiting_requests_get_the_replica_that_was_started_for_them() -> None:
    policy = Told(lambda truth: 1)
    run = played([b"\0"] + [b""] * 130, policy, initial=0, hardware=Hardware(start_s=(100, 100, 100)))
    (ticks,) = run.waits
    assert ticks * TICK_S == pytest.approx(100 + engine.first_byte_after(0), abs=1)
    assert [truth.waiting for truth in policy.seen[:2]] == [1, 1]
    assert policy.seen[-1].waiting == 0
    assert policy.seen[-1].start_seconds == pytest.approx(100)


def test_replicas_cost_while_they_start_serve_and_drain() -> None:
    target = {0: 2, 50: 1}

    def told(truth: Truth) -> int:
        return target.get(int(truth.now), truth.target)

    arrivals = [b"" if second != 40 else bytes([KINDS - 1, KINDS - 1]) for second in range(200)]
    run = played(arrivals, Told(told), hardware=Hardware(start_s=(20, 20, 20)))
    assert run.ready[0], run.present[0] == (1, 2)
    assert run.ready[30] == run.present[30] == 2
    assert (run.ready[50], run.present[50]) == (1, 2)
    work = engine.WORKS[-1]
    assert run.present.index(1, 50) == pytest.approx(40 + work, abs=2)


def test_those_that_start_are_stopped_before_those_that_serve() -> None:
    fleet = Fleet(Hardware(), 2, seed=1)
    fleet.follow(5, now=0)
    fleet.follow(3, now=10)
    assert (fleet.ready, fleet.starting) == (2, 1)
    fleet.follow(0, now=20)
    assert (fleet.ready, fleet.starting) == (0, 0)


def test_more_streams_are_slower_each_and_faster_together() -> None:
    speeds = [engine.speed(load) for load in range(1, engine.LIMIT + 1)]
    assert speeds == sorted(speeds, reverse=True)
    together = [load * speed for load, speed in enumerate(speeds, start=1)]
    assert together == sorted(together)


def test_a_load_of_one_keeps_one_replica_at_its_target() -> None:
    source = strangers((1.0,) * 3600, seed=3)
    policy = Told(lambda truth: 1)
    replay(source, policy, Fleet(Hardware(), 1, seed=1), lead_in=0, seconds=3600)
    running = [truth.in_progress for truth in policy.seen[300:]]
    assert sum(running) / len(running) == pytest.approx(engine.TARGET, rel=0.1)


def test_a_crowd_has_one_request_each_in_progress() -> None:
    policy = Told(lambda truth: 4)
    fleet = Fleet(Hardware(), 4, seed=1)
    replay(crowd((4.0,) * 300, seed=3), policy, fleet, lead_in=0, seconds=300)
    assert {truth.waiting + truth.in_progress for truth in policy.seen} == {4 * engine.TARGET}


def test_a_policy_changes_nothing_of_who_comes() -> None:
    source = strangers((2.0,) * 100, seed=3)
    again = strangers((2.0,) * 100, seed=3)
    assert [source(second, 0) for second in range(100)] == [again(second, 99) for second in range(100)]


def test_requests_go_to_the_replica_with_the_least() -> None:
    fleet = Fleet(Hardware(), 3, seed=1)
    fleet.take(bytes(7))
    fleet.take(bytes(1))
    assert sorted(group.running for group in fleet.groups) == [2, 3, 3]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 60))
def test_a_fleet_takes_what_it_has_room_for(batches: list[int], replicas: int) -> None:
    fleet = Fleet(Hardware(), replicas, seed=1)
    for batch in batches:
        room = replicas * engine.LIMIT - fleet.unanswered
        assert sum(count for _, count in fleet.take(bytes(batch))) == min(batch, room)
        loads = [group.load for group in fleet.groups]
        assert max(loads) <= engine.LIMIT
        assert max(loads) - min(loads) <= 1


@given(REQUESTS, st.integers(2, 40), st.floats(0, 40), st.data())
def test_taking_replicas_out_and_putting_them_back_loses_no_request(
    requests: bytes, count: int, seconds: float, data: st.DataObject
) -> None:
    group = Group(1, count)
    group.take(requests)
    group.advance(seconds)
    before = group.running
    part = group.split(2, data.draw(st.integers(1, count - 1)))
    assert part.running + group.running == before
    assert part.running == pytest.approx(before * part.count / count, abs=1)
    part.advance(1)
    group.absorb(part)
    assert group.count == count
    group.advance(10_000)
    assert group.running == 0


def test_many_replicas_are_counted_in_few_groups() -> None:
    fleet = Fleet(Hardware(start_s=(5, 30, 60)), 1, seed=1)
    for second in range(120):
        fleet.follow(500, second)
        fleet.advance(second, 1)
        fleet.take(bytes(40))
    assert fleet.ready == 500
    assert len(fleet.groups) <= MOST_GROUPS


def test_replicas_that_die_are_replaced() -> None:
    fleet = Fleet(Hardware(start_s=(10, 10, 10), hours_between_deaths=0.5), 10, seed=1)
    least = 10
    for second in range(3600):
        fleet.follow(10, second)
        fleet.advance(second, 1)
        least = min(least, fleet.ready)
        assert fleet.ready + fleet.starting in (9, 10)
    assert least < 10
