"""A provider that fails is left alone for a while, and asked again by one request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.config.providers import Breaker as Settings
from penstock.gateway.providers.breaker import Breaker, Pass, State


def fail(breaker: Breaker, now: float) -> None:
    permission = breaker.enter(now)
    assert permission is not None
    breaker.done(permission, failed=True, now=now)


def opened(pause: float = 10.0) -> Breaker:
    breaker = Breaker(Settings(failures=2, pause=pause))
    fail(breaker, 0.0)
    fail(breaker, 0.0)
    return breaker


def test_it_opens_after_failures_in_a_row_alone():
    breaker = Breaker(Settings(failures=3))
    for failed in (True, True, False, True, True):
        breaker.done(Pass(is_trial=False), failed=failed, now=0.0)
    assert breaker.state(0.0) is State.CLOSED
    fail(breaker, 1.0)
    assert breaker.state(1.0) is State.OPEN
    assert breaker.enter(1.0) is None


def test_it_opens_where_a_share_of_the_last_requests_failed():
    breaker = Breaker(Settings(failures=100, share=0.5, least=10, window=30))
    for number in range(9):
        breaker.done(Pass(is_trial=False), failed=number % 2 == 0, now=float(number))
    assert breaker.state(8.0) is State.CLOSED, "nine are too few to tell"
    breaker.done(Pass(is_trial=False), failed=True, now=9.0)
    assert breaker.state(9.0) is State.OPEN


def test_failures_of_long_ago_are_no_share_of_anything():
    breaker = Breaker(Settings(failures=100, share=0.5, least=4, window=30))
    for number in range(3):
        breaker.done(Pass(is_trial=False), failed=True, now=float(number))
    breaker.done(Pass(is_trial=False), failed=True, now=100.0)
    assert breaker.state(100.0) is State.CLOSED


def test_one_request_tries_after_the_pause_and_its_answer_closes():
    breaker = opened()
    assert breaker.wait(4.0) == 6.0
    assert breaker.enter(9.9) is None
    trial = breaker.enter(10.0)
    assert trial is not None
    assert breaker.state(10.0) is State.HALF_OPEN
    assert breaker.enter(10.0) is None, "the others wait for what becomes of it"
    breaker.done(trial, failed=False, now=11.0)
    assert breaker.state(11.0) is State.CLOSED
    fail(breaker, 12.0)
    assert breaker.state(12.0) is State.CLOSED, "failures before the pause are forgotten"


def test_a_trial_that_fails_begins_the_pause_anew():
    breaker = opened()
    trial = breaker.enter(10.0)
    assert trial is not None
    breaker.done(trial, failed=True, now=15.0)
    assert breaker.state(24.9) is State.OPEN
    assert breaker.state(25.0) is State.HALF_OPEN


def test_a_trial_whose_client_leaves_is_followed_by_another():
    breaker = opened()
    trial = breaker.enter(10.0)
    assert trial is not None
    breaker.done(trial, failed=None, now=10.5)
    assert breaker.state(10.5) is State.HALF_OPEN
    assert breaker.enter(10.5) is not None


def test_answers_to_requests_from_before_the_pause_change_nothing():
    breaker = Breaker(Settings(failures=1, pause=10))
    old = breaker.enter(0.0)
    assert old is not None
    fail(breaker, 1.0)
    breaker.done(old, failed=False, now=2.0)
    assert breaker.state(2.0) is State.OPEN
    breaker.done(old, failed=True, now=9.0)
    assert breaker.state(11.0) is State.HALF_OPEN


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "ok", "bad", "left"]), st.floats(0, 5)), max_size=80),
    st.builds(Settings, failures=st.integers(1, 4), least=st.integers(1, 6), pause=st.floats(0.5, 9)),
)
def test_there_is_never_more_than_one_trial_and_a_pause_always_ends(steps: list[tuple[str, float]], settings: Settings):
    breaker, now, out = Breaker(settings), 0.0, list[Pass]()
    for what, passed in steps:
        now += passed
        before = breaker.state(now)
        if what == "enter":
            permission = breaker.enter(now)
            assert (permission is not None) == (
                before is State.CLOSED or (before is State.HALF_OPEN and not any(one.is_trial for one in out))
            )
            if permission is not None:
                out.append(permission)
        elif out:
            permission = out.pop(0)
            breaker.done(permission, failed={"ok": False, "bad": True, "left": None}[what], now=now)
        assert sum(one.is_trial for one in out) <= 1
    for permission in out:
        breaker.done(permission, failed=None, now=now)
    assert breaker.enter(now + settings.pause) is not None
