"""What is known of a model's starts, and what clients are told of the next one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import config
from penstock.board import Phase, PhaseMark, ReplicaReport
from penstock.board.report import LONGEST_START
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState, derive_state
from penstock.gateway.errors import BusyError, UnavailableError
from penstock.gateway.leases import StaticSource
from penstock.gateway.refusals import EMPTY_RETRY, FULL_RETRY, PoolRefusals
from penstock.gateway.starts import (
    LONGEST_RETRY,
    REMEMBERED,
    SHORTEST_RETRY,
    Outlook,
    StartMemory,
)


def report(replica: str, *phases: tuple[Phase, float], updated: float = 0.0) -> ReplicaReport:
    marks = [PhaseMark(phase=phase, at=at) for phase, at in phases]
    return ReplicaReport(model="demo", replica=replica, phases=marks, updated=updated)


def started(replica: str, at: float, took: float) -> ReplicaReport:
    return report(replica, (Phase.FETCHING, at), (Phase.LOADING, at + took / 2), (Phase.READY, at + took))


def memory(*took: float, starting: float | None = None, now: float = 0.0) -> StartMemory:
    kept = StartMemory()
    kept.note([(f"r{number}", seconds) for number, seconds in enumerate(took)], starting, now)
    return kept


def test_a_start_takes_from_the_first_phase_to_ready_also_when_the_replica_is_leaving() -> None:
    assert started("a", 100, 40).start_seconds == 40
    leaving = report("a", (Phase.STARTING, 5), (Phase.READY, 25), (Phase.DRAINING, 900))
    assert leaving.start_seconds == 20
    assert report("a", (Phase.STARTING, 5)).start_seconds is None
    assert report("a").start_seconds is None


def test_what_a_replica_waits_for_before_its_start_is_no_part_of_it() -> None:
    assert report("a", (Phase.QUEUED, 0), (Phase.FETCHING, 500), (Phase.READY, 540)).start_seconds == 40
    assert report("a", (Phase.QUEUED, 0), updated=500).starting_seconds is None


def test_a_replica_that_starts_has_started_for_as_long_as_its_own_clock_says() -> None:
    assert report("a", (Phase.FETCHING, 10), (Phase.LOADING, 30), updated=50).starting_seconds == 40
    assert started("a", 0, 5).starting_seconds is None
    assert report("a", (Phase.STARTING, 1), (Phase.FAILED, 2), updated=3).starting_seconds is None
    assert report("a", updated=3).starting_seconds is None


@pytest.mark.parametrize("jump", [-1.0, -1e9, LONGEST_START + 1, 1e12])
def test_a_clock_that_was_set_during_a_start_tells_nothing(jump: float) -> None:
    assert report("a", (Phase.STARTING, 1e9), (Phase.READY, 1e9 + jump)).start_seconds is None
    assert report("a", (Phase.STARTING, 1e9), updated=1e9 + jump).starting_seconds is None


def test_clocks_of_nodes_may_differ_by_hours() -> None:
    fast, slow = started("fast", 7200, 30), report("slow", (Phase.STARTING, -3600), updated=-3590)
    state = derive_state([fast, slow])
    assert state.starts == (("fast", 30.0),)
    assert state.starting == 10


def test_the_last_starts_count() -> None:
    state = derive_state([started(f"r{number}", at=number * 100, took=number) for number in range(20)])
    assert [seconds for _, seconds in state.starts] == [15, 16, 17, 18, 19]


def test_the_median_start_is_the_usual_one() -> None:
    assert memory(30, 31, 300).outlook(0) == Outlook(usual=31)


def test_starts_are_remembered_when_their_replicas_are_gone() -> None:
    kept = memory(30)
    kept.note([], None, 1000)
    assert kept.outlook(2000) == Outlook(usual=30)


def test_what_is_remembered_does_not_grow() -> None:
    kept = StartMemory()
    for number in range(100):
        kept.note([(f"r{number}", float(number))], None, number)
        assert len(kept._took) <= REMEMBERED
    assert kept.outlook(100).usual == 97


def test_a_start_on_its_way_needs_what_is_left_of_the_usual_time() -> None:
    kept = memory(100, starting=30, now=500)
    assert kept.outlook(500).remaining == 70
    assert kept.outlook(520).remaining == 50
    assert kept.outlook(10_000).remaining == 10, "it is late, and still not there"


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert StartMemory().outlook(0) == Outlook()
    assert memory(starting=20.0).outlook(0) == Outlook()
    assert (Outlook().retry_after, Outlook().account) == (None, "")


times = st.floats(allow_nan=False, allow_infinity=False, width=32)
phases = st.lists(st.tuples(st.sampled_from(Phase), times), max_size=5)


@given(st.lists(st.tuples(phases, times), max_size=8), times)
def test_whatever_clocks_say_a_retry_makes_sense(
    reports: list[tuple[list[tuple[Phase, float]], float]], now: float
) -> None:
    state = derive_state(report(f"r{number}", *marks, updated=at) for number, (marks, at) in enumerate(reports))
    kept = StartMemory()
    kept.note(state.starts, state.starting, 0.0)
    outlook = kept.outlook(now)
    assert outlook.retry_after is None or SHORTEST_RETRY <= outlook.retry_after <= LONGEST_RETRY
    assert outlook.usual is None or 0 <= outlook.usual <= LONGEST_START
    assert "-" not in outlook.account.replace("on its way", "")


def test_clients_are_told_when_a_replica_may_be_there() -> None:
    def refusals(outlook: Outlook, account: str = "") -> PoolRefusals:
        return PoolRefusals("demo", 600, lambda: account, lambda: outlook)

    known = refusals(Outlook(usual=95, remaining=40), "Its hardware l4 has no node yet.")
    for error in (known.full(256), known.too_long()):
        assert error.retry_after == 40
        assert "no node yet. Its last starts took about 95 s, and the one on its way needs about 40 s more." in str(
            error
        )
    assert refusals(Outlook(usual=20)).full(1).retry_after == 20
    long = refusals(Outlook(usual=400)).too_long()
    assert long.retry_after == LONGEST_RETRY, "clients do not obey more"
    assert "about 400 s" in long.message
    assert refusals(Outlook()).full(1).retry_after == FULL_RETRY
    assert refusals(Outlook()).too_long().retry_after == EMPTY_RETRY


async def test_a_gateway_remembers_starts_of_a_model_that_sleeps() -> None:
    settings = config.Gateway.model_validate({"hold": {"requests": 0}})
    ready = derive_state([started("a", 100, 42)])
    app = GatewayApp(settings, Catalog([ModelEntry("demo", state=ready)]), lambda _: StaticSource([]))
    app.reconfigure(Catalog([ModelEntry("demo", state=derive_state([]))]))
    with pytest.raises(BusyError, match="about 42 s") as caught:
        await app.pools["demo"].acquire()
    assert caught.value.retry_after == 42
    await app.close()


async def test_while_a_replica_is_ready_starts_say_nothing() -> None:
    settings = config.Gateway.model_validate({"hold": {"seconds": 0.01}})
    ready = ModelState(known=True, replicas_ready=1, starts=(("a", 42.0),))
    app = GatewayApp(settings, Catalog([ModelEntry("demo", state=ready)]), lambda _: StaticSource([]))
    with pytest.raises(UnavailableError) as caught:
        await app.pools["demo"].acquire()
    assert caught.value.retry_after == EMPTY_RETRY
    await app.close()
