"""What the ledger of usage says of budgets, for counters that have forgotten it. Pure; used by `opening`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.accounts.limits.rules import Period, Rule, Unit, budgets_of, cost
from penstock.config.limits import LimitSettings


class Taken(Protocol):
    """What requests of one key, team and model took together: a row of the ledger's report."""

    @property
    def key(self) -> str | None: ...
    @property
    def team(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...


def spent(rows: Iterable[Taken], period: Period, settings: LimitSettings) -> Mapping[Rule, int]:
    """What was taken of every budget that there may be for a period.

    Args:
        rows: of the whole period, by key, team and model.

    Of money it may be a few billionths less than what was counted request by request, each of which is rounded up.
    """
    sums: dict[Rule, int] = {}
    for row in rows:
        tokens = row.prompt_tokens + row.completion_tokens
        price = settings.prices.get(row.model or "")
        money = cost(price, row.prompt_tokens, row.completion_tokens, row.cached_tokens)
        for rule in budgets_of(row.key or "", row.team or "", row.model or "", period):
            sums[rule] = sums.get(rule, 0) + (money if rule.unit is Unit.MONEY else tokens)
    return sums
