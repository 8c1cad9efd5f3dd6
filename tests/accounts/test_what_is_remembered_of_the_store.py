"""The policy of the cache, the allowance and the outage, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts import cache
from penstock.accounts.account import Account
from penstock.accounts.cache import Allowance, KeyCache, Outage, Trust

ACCOUNT = Account(id="k", name="k", owner="o")
LIFE, OUTAGE = 4.0, 60.0
KEY = b"k" * 32


def made() -> KeyCache:
    return KeyCache(LIFE, OUTAGE)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_trust_in_a_known_key_falls_with_the_age_of_the_answer(asked: float, age: float):
    known = made()
    known.note(KEY, ACCOUNT, asked)
    account, trust = known.recall(KEY, asked + age)
    seen = asked + age - asked
    assert account is ACCOUNT
    if trust in (Trust.FRESH, Trust.DUE):
        assert seen < LIFE
    else:
        assert seen >= LIFE
    assert (trust is Trust.NONE) == (seen >= OUTAGE)


@given(st.floats(0, 20))
def test_an_unknown_key_is_unknown_for_a_life(age: float):
    known = made()
    known.note(KEY, None, 0.0)
    assert known.recall(KEY, age) == (None, Trust.FRESH if age < LIFE else Trust.NONE)


def test_nothing_is_known_of_a_key_that_nobody_asked_for():
    assert made().recall(KEY, 0.0) == (None, Trust.NONE)


def test_the_last_answer_counts():
    known = made()
    known.note(KEY, ACCOUNT, 0.0)
    known.note(KEY, None, 1.0)
    assert known.recall(KEY, 1.0) == (None, Trust.FRESH)
    known.note(KEY, ACCOUNT, 2.0)
    assert known.recall(KEY, 2.0) == (ACCOUNT, Trust.FRESH)


def test_a_short_outage_does_not_shorten_a_life():
    known = KeyCache(LIFE, 0.0)
    known.note(KEY, ACCOUNT, 0.0)
    assert known.recall(KEY, 3.9)[1] is Trust.DUE
    assert known.recall(KEY, 4.0)[1] is Trust.NONE


def test_a_flood_of_wrong_keys_neither_fills_memory_nor_drives_out_known_ones():
    known = made()
    known.note(KEY, ACCOUNT, 0.0)
    for number in range(cache.MOST_UNKNOWN + 5000):
        known.note(b"%032d" % number, None, 0.0)
    assert len(known) == cache.MOST_UNKNOWN + 1
    assert known.recall(KEY, 0.0) == (ACCOUNT, Trust.FRESH)
    assert known.recall(b"%032d" % (cache.MOST_UNKNOWN + 4999), 0.0) == (None, Trust.FRESH)


def test_known_keys_are_bounded_too():
    known = made()
    for number in range(cache.MOST_KNOWN + 10):
        known.note(b"%032d" % number, ACCOUNT, 0.0)
    assert len(known) == cache.MOST_KNOWN
    assert known.recall(b"%032d" % 0, 0.0) == (None, Trust.NONE)


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.5, 20), st.integers(1, 20))
def test_never_more_is_taken_than_the_burst_and_the_rate_allow(gaps: list[float], rate: float, burst: int):
    allowance = Allowance(rate, float(burst))
    now = taken = 0.0
    for gap in gaps:
        now += gap
        taken += allowance.take(now)
        assert taken <= burst + rate * now + 1e-6


def test_what_was_taken_comes_back_with_time():
    allowance = Allowance(2.0, 3.0)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(0.4)
    assert allowance.take(0.5)
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_gives_nothing():
    allowance = Allowance(2.0, 1.0)
    assert allowance.take(5.0)
    assert not allowance.take(5.0)
    assert not allowance.take(4.0)


def test_a_store_that_is_away_is_asked_once_in_a_while_by_one():
    outage = Outage(1.0)
    assert outage.may_ask(0.0)
    outage.failed(0.0)
    assert outage.is_on
    assert not outage.may_ask(0.9)
    assert outage.may_ask(1.0)
    assert not outage.may_ask(1.1)
    outage.ended()
    assert not outage.is_on
    assert outage.may_ask(1.1)
