"""The scaling decision in virtual time: what it holds to whatever the load."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from penstock.scaling.observation import Observation, Report, Settings
from penstock.scaling.policy import INITIAL, PERIOD, State, decide
from support.scaled import changes, live, spread

NAMES = [f"replica-{place}" for place in range(12)]

REPORTS = st.builds(
    Report,
    running=st.floats(0, 500),
    queued=st.floats(0, 500),
    kv_usage=st.floats(0, 1),
    request_seconds=st.none() | st.floats(0.1, 600),
    age=st.floats(0, 30),
)
OBSERVATIONS = st.builds(
    Observation,
    now=st.floats(-1e6, 1e6),
    asked=st.integers(0, 60),
    running=st.frozensets(st.sampled_from(NAMES)),
    reports=st.dictionaries(st.sampled_from(NAMES), REPORTS),
    waiting=st.floats(0, 1e5),
    start_seconds=st.none() | st.floats(0, 3600),
)
SETTINGS = st.builds(
    lambda bounds, **rest: Settings(min(bounds), max(*bounds, 1), **rest),
    st.tuples(st.integers(0, 50), st.integers(0, 50)),
    target=st.integers(1, 64),
    upscale_delay=st.floats(0, 60),
    downscale_delay=st.floats(0, 600),
    downscale_to_zero_delay=st.floats(0, 900),
    kv_threshold=st.floats(0.01, 1),
)


@given(st.lists(OBSERVATIONS, min_size=1, max_size=30), SETTINGS)
def test_it_stays_within_its_bounds_whatever_is_seen(seen: list[Observation], settings: Settings) -> None:
    state = INITIAL
    for observation in seen:
        decision = decide(observation, settings, state)
        state = decision.state
        assert settings.least <= decision.replicas <= settings.most


@given(
    st.lists(OBSERVATIONS, max_size=10),
    OBSERVATIONS,
    SETTINGS,
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.sampled_from(NAMES),
)
def test_more_load_never_needs_fewer(
    before: list[Observation], seen: Observation, settings: Settings, running: float, waiting: float, busier: str
) -> None:
    state: State = INITIAL
    for observation in before:
        state = decide(observation, settings, state).state
    reports = {
        name: report._replace(running=report.running + running) if name == busier else report
        for name, report in seen.reports.items()
    }
    heavier = seen._replace(reports=reports, waiting=seen.waiting + waiting)
    assert decide(heavier, settings, state).replicas >= decide(seen, settings, state).replicas


@hypothesis_settings(max_examples=40)
@given(
    load=st.floats(0, 400),
    settings=SETTINGS,
    began_with=st.integers(0, 12),
    start=st.floats(0, 300),
    kv_usage=st.sampled_from([0.0, 0.3]),
)
def test_a_constant_load_changes_nothing_once_it_is_answered(
    load: float, settings: Settings, began_with: int, start: float, kv_usage: float
) -> None:
    settings = settings._replace(kv_threshold=0.9)
    longest = max(settings.downscale_delay, settings.downscale_to_zero_delay, settings.upscale_delay)
    settled = start + longest + 10 * PERIOD
    moments = list(
        live(
            lambda _: load,
            settings,
            began_with=began_with,
            start=start,
            seconds=settled + 600,
            kv_usage=kv_usage if load else 0.0,
        )
    )
    late = [moment.replicas for moment in moments if moment.at >= settled]
    assert len(late) >= 600 / PERIOD
    assert len(set(late)) == 1
    needed = max(settings.least, min(math.ceil(load / settings.target), settings.most))
    # A tenth of one replica's share is borne, and the band before more are asked for is a tenth of all of them.
    assert needed / 1.1 - 1 <= late[0] <= max(needed, settings.least)


@hypothesis_settings(max_examples=40)
@given(
    target=st.integers(1, 64),
    began_with=st.integers(0, 3),
    start=st.floats(60, 900),
    times=st.integers(4, 20),
    moment=st.floats(0, 60),
)
def test_a_step_is_answered_within_two_decisions_and_not_passed(
    target: int, began_with: int, start: float, times: int, moment: float
) -> None:
    settings = Settings(least=min(began_with, 2), most=50, target=target)
    if began_with > times / 2:
        began_with = 2
    moments = list(
        live(
            lambda now: times * target if now >= moment else 0.0,
            settings,
            began_with=began_with,
            start=start,
            seconds=moment + 3 * start,
        )
    )
    seen = next(index for index, found in enumerate(moments) if found.at >= moment)
    assert moments[min(seen + 1, len(moments) - 1)].replicas == times
    assert {found.replicas for found in moments[seen + 1 :]} == {times}


@given(load=st.floats(0.01, 1e4), target=st.integers(1, 64), most=st.integers(1, 9))
def test_the_first_replicas_are_asked_for_at_once(load: float, target: int, most: int) -> None:
    seen = Observation(now=5.0, asked=0, running=frozenset(), reports={}, waiting=load)
    decided = decide(seen, Settings(0, most, target)).replicas
    assert 1 <= decided == min(most, max(1, math.ceil(load / target - 0.1)))


def test_a_load_at_a_boundary_does_not_flap() -> None:
    settings = Settings(1, 8, target=16)
    moments = list(
        live(
            lambda now: 48 + 4.5 * math.sin(now / 7),
            settings,
            began_with=3,
            start=120,
            seconds=3600,
        )
    )
    assert changes(moments) == []


def test_one_lull_stops_nothing_and_a_lasting_one_does() -> None:
    settings = Settings(1, 8, target=16)

    def load(now: float) -> float:
        return 64 if now < 600 or 840 <= now < 900 else 5

    moments = list(live(load, settings, began_with=4, start=120, seconds=1600))
    ((when, number),) = changes(moments)
    assert number == 1
    assert 1200 <= when <= 1204


def test_the_highest_need_of_the_window_decides_how_many_stay() -> None:
    settings = Settings(0, 8, target=10)
    moments = list(
        live(lambda now: 80 if now < 100 else 30 if now < 350 else 5, settings, began_with=8, start=60, seconds=900)
    )
    assert [number for _, number in changes(moments)] == [3, 1]


def test_the_last_replica_stops_after_an_idle_time_of_its_own() -> None:
    settings = Settings(0, 8, target=16, downscale_delay=300, downscale_to_zero_delay=600)
    moments = list(live(lambda now: 40 if now <= 100 else 0, settings, began_with=3, start=60, seconds=900))
    (fewer, none) = changes(moments)
    assert (fewer[1], none[1]) == (1, 0)
    assert 400 <= fewer[0] <= 404
    assert 700 <= none[0] <= 704


def test_a_request_a_minute_keeps_the_last_replica() -> None:
    settings = Settings(0, 8, downscale_to_zero_delay=90)
    moments = list(live(lambda now: 1.0 if now % 60 < 2 else 0.0, settings, began_with=1, start=60, seconds=3600))
    assert changes(moments) == []


def test_a_mild_excess_waits_for_the_delay_and_a_spike_within_it_starts_nothing() -> None:
    settings = Settings(1, 8, target=16, upscale_delay=30)
    lasting = list(live(lambda now: 40 if now >= 100 else 30, settings, began_with=2, start=60, seconds=300))
    ((when, number),) = changes(lasting)
    assert number == 3
    assert 130 <= when <= 134
    spike = list(live(lambda now: 50 if 100 <= now < 120 else 30, settings, began_with=2, start=60, seconds=300))
    assert changes(spike) == []


def asked_while_starting(arriving: Callable[[int], float], seconds: int) -> list[int]:
    """Replicas asked for every two seconds while one runs at its target, requests take ten seconds, and none of those
    on their way is ready. `arriving`: requests a second."""
    settings = Settings(0, 500, target=16)
    reports = {"a": Report(running=16, queued=0, request_seconds=10.0)}
    asked, state, told, waiting = 1, INITIAL, [], 0.0
    for now in range(0, seconds, 2):
        waiting += 2 * max(arriving(now) - 1.6, 0.0)
        seen = Observation(float(now), asked, frozenset("a"), reports, waiting, start_seconds=180)
        decision = decide(seen, settings, state)
        asked, state = decision.replicas, decision.state
        told.append(asked)
    return told


@given(request_seconds=st.floats(0.2, 600), start=st.floats(5, 1800))
def test_a_crowd_of_which_one_was_seen_first_gets_what_it_needs_two_decisions_later(
    request_seconds: float, start: float
) -> None:
    settings = Settings(0, 50, target=16)
    reports = {"a": Report(1, 0, request_seconds=request_seconds)}
    state = decide(Observation(0.0, 1, frozenset("a"), reports, 0.0, start), settings).state
    asleep = Observation(1000.0, 0, frozenset(), {}, 0.0, start)
    state = decide(asleep, settings, state).state
    numbers = []
    for period, waiting in enumerate((1, 64, 64, 64, 64, 64), 1):
        asked = numbers[-1] if numbers else 0
        seen = asleep._replace(now=1000.0 + period * PERIOD, asked=asked, waiting=waiting)
        decision = decide(seen, settings, state)
        state = decision.state
        numbers.append(decision.replicas)
    assert numbers == [1, 1, 4, 4, 4, 4]


def test_what_waits_counts_in_full_until_replicas_are_on_their_way() -> None:
    reports = {"a": Report(running=16, queued=0, request_seconds=10.0)}
    waits = Observation(0.0, asked=1, running=frozenset("a"), reports=reports, waiting=144, start_seconds=180)
    first = decide(waits, Settings(0, 50, target=16))
    assert decide(waits._replace(now=2.0), Settings(0, 50, target=16), first.state).replicas == 10


def test_what_piles_up_during_a_start_is_not_asked_for_over_and_over() -> None:
    told = asked_while_starting(lambda now: 16.0, seconds=180)
    # What comes keeps 10 replicas at their targets, and in the end 2592 requests wait, worth 162 more.
    assert next(index for index, replicas in enumerate(told) if replicas >= 10) <= 10
    assert 10 < told[-1] <= 30


def test_a_rise_is_answered_while_replicas_start() -> None:
    told = asked_while_starting(lambda now: 16.0 if now < 60 else 64.0, seconds=90)
    assert told[29] < 30
    assert told[-1] >= 40


def test_full_kv_caches_with_a_queue_ask_for_one_more_at_a_time() -> None:
    settings = Settings(1, 4, target=16)
    began = list(live(lambda _: 6.0, settings, began_with=1, start=120, seconds=700, kv_usage=0.97))
    grown = changes(began)
    assert [number for _, number in grown] == [2, 3, 4]
    assert grown[0][0] >= 30
    assert all(later - earlier >= 150 for (earlier, _), (later, _) in itertools.pairwise(grown))


def test_a_full_kv_cache_without_a_queue_asks_for_nothing() -> None:
    state = INITIAL
    for step in range(200):
        seen = Observation(step * PERIOD, 1, frozenset("a"), {"a": Report(6, 0, kv_usage=1.0)}, waiting=0)
        decision = decide(seen, Settings(1, 4), state)
        state = decision.state
        assert decision.replicas == 1


def test_kv_caches_that_would_overflow_keep_their_replicas() -> None:
    settings = Settings(1, 4, target=16, downscale_delay=60)
    held = list(live(lambda _: 6.0, settings, began_with=3, start=60, seconds=600, kv_usage=0.6))
    assert changes(held) == []
    free = list(live(lambda _: 6.0, settings, began_with=3, start=60, seconds=600, kv_usage=0.1))
    assert [number for _, number in changes(free)] == [1]


@given(
    st.lists(OBSERVATIONS, max_size=10),
    OBSERVATIONS.filter(lambda seen: len(seen.running) > 1),
    SETTINGS,
    st.data(),
)
def test_a_replica_that_says_nothing_stops_none(
    before: list[Observation], seen: Observation, settings: Settings, data: st.DataObject
) -> None:
    state = INITIAL
    for observation in before:
        state = decide(observation, settings, state).state
    silent = data.draw(st.sampled_from(sorted(seen.running)))
    reports = {name: report for name, report in seen.reports.items() if name != silent}
    late = seen._replace(reports=reports)
    assert decide(late, settings, state).replicas >= min(seen.asked, settings.most)


def test_a_replica_that_falls_silent_counts_with_what_it_said_last() -> None:
    settings = Settings(1, 8, target=16, downscale_delay=60)
    names = ["a", "b"]
    state = decide(Observation(0.0, 2, frozenset(names), spread(40, names), 0.0), settings).state
    for step in range(1, 100):
        reports = {"a": Report(20, 0), "b": Report(20, 0, age=step * PERIOD)}
        decision = decide(Observation(step * PERIOD, 2, frozenset(names), reports, 0.0), settings, state)
        state = decision.state
    assert decision.explanation.seen.in_engines == 40
    assert decision.explanation.seen.missing == 1
    assert decision.replicas == 3


def test_a_new_replica_without_a_report_asks_for_no_further_one() -> None:
    settings = Settings(1, 8, target=16)
    state = INITIAL
    for step in range(20):
        running = frozenset({"a", "new-1", "new-2", "new-3"})
        seen = Observation(step * PERIOD, 4, running, {"a": Report(64, 0)}, 0.0)
        decision = decide(seen, settings, state)
        state = decision.state
        assert decision.replicas == 4


@given(st.lists(OBSERVATIONS, min_size=1, max_size=10), SETTINGS, REPORTS)
def test_what_a_dead_replica_said_changes_nothing(seen: list[Observation], settings: Settings, last: Report) -> None:
    with_it = without_it = INITIAL
    for observation in seen:
        dead = observation._replace(reports={**observation.reports, "dead": last})
        first, second = decide(dead, settings, with_it), decide(observation, settings, without_it)
        assert first == second
        with_it, without_it = first.state, second.state


@hypothesis_settings(max_examples=40)
@given(jump=st.floats(-1e9, 1e9), at=st.integers(0, 500))
def test_a_clock_that_jumps_stops_no_replica(jump: float, at: int) -> None:
    settings = Settings(0, 8, target=16, downscale_delay=300, downscale_to_zero_delay=600)
    state = INITIAL
    for step in range(600):
        now = step * PERIOD + (jump if step >= at else 0.0)
        # Quiet for a minute around the jump, which is no reason to stop anything.
        load = 0.0 if at <= step < at + 30 else 60.0
        seen = Observation(now, 4, frozenset("abcd"), spread(load, list("abcd")), 0.0)
        decision = decide(seen, settings, state)
        state = decision.state
        assert decision.replicas == 4
