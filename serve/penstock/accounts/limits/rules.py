"""Which limits concern a request, and what it asks of their counters. Pure; used by `limiter`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final, Literal

from penstock.accounts.account import Account
from penstock.config.limits import Limits, LimitSettings, Price

Scope = Literal["key", "team", "model"]

BILLIONTHS: Final = 10**9
"""Money is counted in billionths of a unit, so that a token's price is a whole number of them."""
_A_MILLION: Final = 10**6


class Kind(Enum):
    """How a counter counts."""

    WINDOW = "w"
    """What was let in within the last minute."""
    SLOTS = "s"
    """Who is in progress."""
    BUDGET = "b"
    """What was taken since the beginning of a day or a month."""


class Unit(Enum):
    """What a counter counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    MONEY = "money"


class Period(Enum):
    """What a budget is for."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit of one key, team or model."""

    scope: Scope
    who: str
    """The key's id, the team's or the model's name."""
    name: str
    """The limit's, as documents have it: `requestsPerMinute`."""
    kind: Kind
    unit: Unit
    limit: int
    """Requests, tokens, or billionths of a unit of money."""
    counter: str
    """The name of its counter, without the day or the month of a budget."""
    period: Period | None = None
    """Of a budget."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request asks of one counter."""

    rule: Rule
    counter: str
    """The counter's name. That of a budget holds its day or month."""
    amount: int = 0
    """What is taken at once, of a window."""


_NAMES: Final[tuple[tuple[str, str, Kind, Unit, Period | None], ...]] = (
    ("requests_per_minute", "requestsPerMinute", Kind.WINDOW, Unit.REQUESTS, None),
    ("tokens_per_minute", "tokensPerMinute", Kind.WINDOW, Unit.TOKENS, None),
    ("requests_at_once", "requestsAtOnce", Kind.SLOTS, Unit.REQUESTS, None),
    ("tokens_per_day", "tokensPerDay", Kind.BUDGET, Unit.TOKENS, Period.DAY),
    ("tokens_per_month", "tokensPerMonth", Kind.BUDGET, Unit.TOKENS, Period.MONTH),
    ("money_per_day", "moneyPerDay", Kind.BUDGET, Unit.MONEY, Period.DAY),
    ("money_per_month", "moneyPerMonth", Kind.BUDGET, Unit.MONEY, Period.MONTH),
)


def rules_of(settings: LimitSettings, account: Account, model: str) -> tuple[Rule, ...]:
    """All rules for a request of an account for a model, the key's first; empty where nothing limits it."""
    key = settings.every_key if account.limits is None else account.limits
    return (
        *_rules("key", account.id, key),
        *_rules("team", account.owner, settings.teams.get(account.owner)),
        *_rules("model", model, settings.models.get(model)),
    )


def budgets_of(key: str, team: str, model: str, period: Period) -> Iterator[Rule]:
    """All budgets that there may be for a period, whatever their limits; those are left out."""
    whose: tuple[tuple[Scope, str], ...] = (("key", key), ("team", team), ("model", model))
    for scope, who in whose:
        for _, name, kind, unit, its in _NAMES:
            if its is period:
                yield Rule(scope, who, name, kind, unit, 0, f"{scope}:{who}:{name}", period)


def charges_of(rules: tuple[Rule, ...], tokens: int, now: datetime) -> tuple[Charge, ...]:
    """What a request asks of the counters of its rules.

    Args:
        tokens: that it may take, by an estimate.
        now: which day and month it is.
    """
    return tuple(Charge(rule, counter_of(rule, now), _amount(rule, tokens)) for rule in rules)


def counter_of(rule: Rule, now: datetime) -> str:
    """The name of a rule's counter at a time."""
    if rule.period is None:
        return rule.counter
    return f"{rule.counter}:{_written(rule.period, now.astimezone(UTC).date())}"


def begins(period: Period, now: datetime) -> datetime:
    """When the day or the month of a time began."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if period is Period.DAY else midnight.replace(day=1)


def ends(period: Period, now: datetime) -> datetime:
    """When the day or the month of a time is over."""
    began = begins(period, now)
    return began + timedelta(days=1) if period is Period.DAY else (began + timedelta(days=32)).replace(day=1)


def cost(price: Price | None, prompt: int, completion: int, cached: int) -> int:
    """What tokens cost, in billionths of a unit of money, rounded up.

    Args:
        price: None where they cost nothing.
        prompt: tokens of the prompt, the cached ones among them.
        cached: those that the engine had in its cache.
    """
    if price is None:
        return 0
    cached = min(cached, prompt)
    per_cached = price.prompt if price.cached is None else price.cached
    # Whole numbers before they are added: a sum of many requests must not depend on their order.
    parts = ((prompt - cached, price.prompt), (cached, per_cached), (completion, price.completion))
    total = sum(tokens * round(per_million * BILLIONTHS) for tokens, per_million in parts)
    return -(-total // _A_MILLION)


def _rules(scope: Scope, who: str, limits: Limits | None) -> Iterator[Rule]:
    if limits is None:
        return
    for field, name, kind, unit, period in _NAMES:
        if (value := getattr(limits, field)) is not None:
            limit = round(value * BILLIONTHS) if unit is Unit.MONEY else value
            yield Rule(scope, who, name, kind, unit, limit, f"{scope}:{who}:{name}", period)


@lru_cache(maxsize=16)
def _written(period: Period, day: date) -> str:
    return f"{day:%Y-%m-%d}" if period is Period.DAY else f"{day:%Y-%m}"


def _amount(rule: Rule, tokens: int) -> int:
    if rule.kind is not Kind.WINDOW:
        return 0
    # An estimate may be far too high, so one that is over the limit waits until nothing else is there, not for ever.
    return 1 if rule.unit is Unit.REQUESTS else min(tokens, rule.limit)
