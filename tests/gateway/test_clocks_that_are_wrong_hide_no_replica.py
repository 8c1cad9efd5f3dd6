"""A report is judged by whether it changes, never by what its writer's clock shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.freshness import Freshness

LIMIT, GAP = 20.0, 3.0
skews = st.floats(-1e9, 1e9, allow_nan=False)


def _freshness() -> Freshness:
    return Freshness(LIMIT, longest_gap=GAP)


@given(skews, st.integers(1, 5))
def test_a_report_that_is_renewed_stays_fresh_whatever_the_clock_of_its_writer(skew: float, every: int) -> None:
    freshness = _freshness()
    for second in range(120):
        assert freshness.look({"r": skew + second // every * every}, float(second)) == {"r"}


@given(skews)
def test_a_report_that_is_not_renewed_is_stale_after_the_limit(skew: float) -> None:
    freshness = _freshness()
    fresh = [bool(freshness.look({"r": skew}, float(second))) for second in range(60)]
    assert fresh == [second < LIMIT for second in range(60)]


def test_a_clock_that_jumps_at_every_renewal_hides_nothing() -> None:
    freshness = _freshness()
    stamps = [100.0, 4000.0, -50.0, 100.0, 1e9, 0.0]
    for beat, stamp in enumerate(stamps):
        for second in range(5):
            assert freshness.look({"r": stamp}, beat * 5.0 + second) == {"r"}


def test_the_time_in_which_nobody_looked_does_not_count() -> None:
    freshness = _freshness()
    freshness.look({"r": 1.0}, 0.0)
    assert freshness.look({"r": 1.0}, 3600.0) == {"r"}
    now = 3600.0
    while freshness.look({"r": 1.0}, now):
        now += 1.0
    assert now - 3600.0 == LIMIT - GAP


def test_a_report_that_comes_back_is_fresh_again() -> None:
    freshness = _freshness()
    for second in range(30):
        freshness.look({"r": 1.0}, float(second))
    assert freshness.look({"r": 1.0}, 30.0) == frozenset()
    assert freshness.look({"r": 2.0}, 31.0) == {"r"}


def test_what_is_gone_is_forgotten() -> None:
    freshness = _freshness()
    for second in range(30):
        freshness.look({"r": 1.0}, float(second))
    assert freshness.look({}, 30.0) == frozenset()
    assert freshness.look({"r": 1.0}, 31.0) == {"r"}
