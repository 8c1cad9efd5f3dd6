"""Rules, charges and prices: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts.account import ANONYMOUS, Account
from penstock.accounts.limits.estimate import USUAL_ANSWER, estimate
from penstock.accounts.limits.rules import (
    BILLIONTHS,
    Period,
    charges_of,
    cost,
    counter_of,
    ends,
    rules_of,
)
from penstock.config.limits import KeyLimits, Limits, LimitSettings, Price

NOON = datetime(2026, 12, 31, 12, tzinfo=UTC)


def account(**more: object) -> Account:
    return Account(id="key_a", name="alice", owner="research", **more)  # type: ignore[arg-type]


def test_nothing_concerns_a_request_where_nothing_is_said():
    assert rules_of(LimitSettings(), account(), "demo") == ()


def test_key_team_and_model_concern_a_request_together():
    settings = LimitSettings(
        every_key=KeyLimits(requests_per_minute=10),
        teams={"research": Limits(tokens_per_minute=1000), "sales": Limits(requests_at_once=1)},
        models={"demo": Limits(requests_at_once=4), "other": Limits(requests_at_once=1)},
    )
    found = [(rule.scope, rule.who, rule.name, rule.limit) for rule in rules_of(settings, account(), "demo")]
    assert found == [
        ("key", "key_a", "requestsPerMinute", 10),
        ("team", "research", "tokensPerMinute", 1000),
        ("model", "demo", "requestsAtOnce", 4),
    ]


def test_a_key_with_limits_of_its_own_has_none_of_every_key():
    settings = LimitSettings(every_key=KeyLimits(requests_per_minute=10, requests_at_once=1))
    own = account(limits=KeyLimits(requests_per_minute=99))
    assert [(rule.name, rule.limit) for rule in rules_of(settings, own, "demo")] == [("requestsPerMinute", 99)]


def test_all_who_send_no_key_are_one():
    settings = LimitSettings(every_key=KeyLimits(requests_per_minute=10))
    (rule,) = rules_of(settings, ANONYMOUS, "demo")
    assert rule.who == "anonymous"


def test_a_request_is_one_and_its_tokens_are_many_and_budgets_are_looked_at():
    limits = KeyLimits(requests_per_minute=10, tokens_per_minute=1000, requests_at_once=2, tokens_per_day=5)
    charges = charges_of(rules_of(LimitSettings(), account(limits=limits), "demo"), 321, NOON)
    assert [charge.amount for charge in charges] == [1, 321, 0, 0]


def test_an_estimate_that_is_over_the_limit_waits_until_nothing_else_is_there():
    (charge,) = charges_of(
        rules_of(LimitSettings(), account(limits=KeyLimits(tokens_per_minute=100)), "demo"), 5000, NOON
    )
    assert charge.amount == 100


def test_a_budget_has_a_counter_for_each_day_or_month_of_utc():
    limits = KeyLimits(tokens_per_day=5, money_per_month=2.5)
    day, month = rules_of(LimitSettings(), account(limits=limits), "demo")
    late = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert counter_of(day, late) == "key:key_a:tokensPerDay:2026-12-31"
    assert counter_of(month, late) == "key:key_a:moneyPerMonth:2026-12"
    assert month.limit == 2.5 * BILLIONTHS


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        (NOON, datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 28, tzinfo=UTC), datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2027, 1, 31, 23, 59, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)),
    ],
)
def test_days_and_months_end_at_midnight(now: datetime, day: datetime, month: datetime):
    assert (ends(Period.DAY, now), ends(Period.MONTH, now)) == (day, month)


def test_cached_tokens_cost_what_they_cost():
    price = Price(prompt=2.0, completion=10.0, cached=0.5)
    assert cost(price, prompt=1_000_000, completion=0, cached=400_000) == round(1.4 * BILLIONTHS)
    assert cost(Price(prompt=2.0), prompt=1_000_000, completion=5, cached=400_000) == 2 * BILLIONTHS
    assert cost(price, prompt=10, completion=0, cached=99) == cost(price, prompt=10, completion=0, cached=10)
    assert cost(None, 1000, 1000, 0) == 0


@given(st.floats(0, 1000), st.floats(0, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_cost_is_never_less_than_its_price(prompt: float, completion: float, asked: int, said: int):
    exact = (asked * prompt + said * completion) * 1000
    assert cost(Price(prompt=prompt, completion=completion), asked, said, 0) == pytest.approx(exact, abs=2, rel=1e-6)


def test_an_estimate_is_of_the_body_and_of_what_the_answer_may_have():
    assert estimate(401, 100) == 101 + 100
    assert estimate(400, 100, 3) == 100 + 300
    assert estimate(0, None) == USUAL_ANSWER
