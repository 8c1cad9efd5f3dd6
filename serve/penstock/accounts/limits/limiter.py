"""Lets requests in as far as limits allow, and counts what they took. Used by the gateway's `admission`.

A request is let in before it waits for a replica, by an estimate of its tokens. When it is over, whoever let it in is
told what it took; nothing of that is waited for.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from penstock.accounts.account import Account
from penstock.accounts.limits.counters import Counters, CountersGoneError, Entry, State, Verdict
from penstock.accounts.limits.errors import OverLimitError
from penstock.accounts.limits.memory import MemoryCounters
from penstock.accounts.limits.rules import (
    Charge,
    Kind,
    Period,
    Rule,
    Unit,
    charges_of,
    cost,
    counter_of,
    ends,
    rules_of,
)
from penstock.accounts.limits.seeding import Taken, spent
from penstock.accounts.limits.standing import Standing, standing
from penstock.config.limits import KeyLimits, LimitSettings

KEPT: Final = 86_400_000
"""Milliseconds for which a budget is kept after its day or month is over."""


MOST_RULES: Final = 10_000
"""Of keys and models, that are remembered."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a request took."""

    prompt: int
    """The cached ones among them."""
    completion: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was let in. `Limiter.settle` ends it, once."""

    lease: str
    model: str
    rules: tuple[Rule, ...]
    charges: tuple[Charge, ...]
    verdict: Verdict
    standing: Standing
    by: Counters
    """Who let it in."""


class Limiter:
    """Belongs to one event loop.

    Args:
        settings: the document's.
        shared: counters of all gateways; None where each counts for itself.
        wall: the time; for tests.
        own: this gateway's counters; for tests.
    """

    def __init__(
        self,
        settings: LimitSettings,
        shared: Counters | None = None,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        own: MemoryCounters | None = None,
    ) -> None:
        self.settings = settings
        self._shared = shared
        self._falls_back = settings.without_redis == "perGateway"
        self._own = own or MemoryCounters()
        self._wall = wall
        self._name = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        self._rules: dict[tuple[str, str], tuple[KeyLimits | None, str, tuple[Rule, ...]]] = {}

    @property
    def gone(self) -> bool:
        """Whether the shared counters cannot be reached."""
        return self._shared is not None and self._shared.gone

    @property
    def refuses(self) -> bool:
        """Whether requests that limits concern are refused for it."""
        return self.gone and not self._falls_back

    def share_of(self, account: Account) -> int:
        """Requests of an account that are served at a turn, where they wait."""
        return (self.settings.every_key if account.limits is None else account.limits).share

    async def admit(self, account: Account, model: str, tokens: int) -> Admission | None:
        """Let a request in; None where nothing limits it.

        Args:
            tokens: that it may take, by an estimate.

        Raises:
            OverLimitError, CountersGoneError: it is not let in, and nothing is counted.
        """
        if not (rules := self._rules_of(account, model)):
            return None
        now = self._wall()
        charges = charges_of(rules, tokens, now)
        lease = f"{self._name}-{next(self._numbers)}"
        by, verdict = await self._ask(lease, charges, now)
        stands = standing(charges, verdict.states)
        if not verdict.admitted:
            raise _refusal(charges, verdict, stands, now)
        return Admission(lease, model, rules, charges, verdict, stands, by)

    def settle(self, admission: Admission, took: Tokens | None, paid_as: str | None = None) -> None:
        """A request is over.

        Args:
            took: None where it did nothing, so that nothing but the request itself counts.
            paid_as: the model whose price its tokens have, where another one answered.
        """
        now = self._wall()
        tokens = 0 if took is None else took.prompt + took.completion
        entries = _corrected(admission, tokens)
        spent = [] if took is None else self._spent(admission, took, now, paid_as or admission.model)
        admission.by.settle(entries + spent)
        if self._shared is not None and admission.by is not self._shared:
            self._shared.settle(spent)

    def learn(self, rows: Iterable[Taken], period: Period, now: datetime) -> None:
        """Take over what the ledger says was taken in the day or the month of `now`, where it is more than is known."""
        for rule, amount in spent(rows, period, self.settings).items():
            self._own.learn(counter_of(rule, now), amount, _life(period, now))

    async def close(self) -> None:
        """Tell what is still to be told."""
        if self._shared is not None:
            await self._shared.close()

    def _rules_of(self, account: Account, model: str) -> tuple[Rule, ...]:
        known = self._rules.get((account.id, model))
        # The same object as long as nobody changed it: every look-up of a key makes another account.
        if known is not None and known[0] is account.limits and known[1] == account.owner:
            return known[2]
        if len(self._rules) >= MOST_RULES:
            self._rules.clear()
        rules = rules_of(self.settings, account, model)
        self._rules[account.id, model] = account.limits, account.owner, rules
        return rules

    async def _ask(self, lease: str, charges: Sequence[Charge], now: datetime) -> tuple[Counters, Verdict]:
        if self._shared is None:
            return self._own, await self._own.admit(lease, charges)
        try:
            verdict = await self._shared.admit(lease, charges)
        except CountersGoneError:
            if not self._falls_back:
                raise
            return self._own, await self._own.admit(lease, charges)
        if self._falls_back:
            for charge, state in zip(charges, verdict.states, strict=True):
                if charge.rule.period is not None:
                    self._own.learn(charge.counter, state.used, _life(charge.rule.period, now))
        return self._shared, verdict

    def _spent(self, admission: Admission, took: Tokens, now: datetime, paid_as: str) -> list[Entry]:
        entries = []
        for rule in admission.rules:
            if rule.period is None:
                continue
            amount = took.prompt + took.completion
            if rule.unit is Unit.MONEY:
                price = self.settings.prices.get(paid_as)
                amount = cost(price, took.prompt, took.completion, took.cached)
            if amount:
                # Of the day on which it was over.
                entries.append(Entry(Kind.BUDGET, counter_of(rule, now), amount, life=_life(rule.period, now)))
        return entries


def _corrected(admission: Admission, tokens: int) -> list[Entry]:
    """Its slots are free, and of its tokens those count that it took. That it was a request stays counted."""
    entries = []
    for charge, state in zip(admission.charges, admission.verdict.states, strict=True):
        if charge.rule.kind is Kind.SLOTS:
            entries.append(Entry(Kind.SLOTS, charge.counter, lease=admission.lease))
        elif charge.rule.kind is Kind.WINDOW and charge.rule.unit is Unit.TOKENS and tokens != charge.amount:
            entries.append(Entry(Kind.WINDOW, charge.counter, tokens - charge.amount, state.bucket))
    return entries


def _life(period: Period, now: datetime) -> int:
    return int((ends(period, now) - now).total_seconds() * 1000) + KEPT


def _refusal(charges: Sequence[Charge], verdict: Verdict, stands: Standing, now: datetime) -> OverLimitError:
    """By the limit that lasts longest: whoever waits for another would be refused again."""
    reached = [
        (_wait(charge.rule, state, now), charge.rule)
        for charge, state in zip(charges, verdict.states, strict=True)
        if not state.fits
    ]
    wait, rule = max(reached, key=lambda one: one[0] or 0.0)
    return OverLimitError(rule, wait, stands)


def _wait(rule: Rule, state: State, now: datetime) -> float | None:
    if rule.period is not None:
        return (ends(rule.period, now) - now).total_seconds()
    return state.wait / 1000 if rule.kind is Kind.WINDOW else None
