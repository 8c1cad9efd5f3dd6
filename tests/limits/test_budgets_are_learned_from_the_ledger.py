"""Counters in memory forget; what the ledger of usage knows, they learn again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.errors import StoreError
from penstock.accounts.ledger.report import Question, UsageReport, UsageRow
from penstock.accounts.limits.errors import OverLimitError
from penstock.accounts.limits.limiter import Limiter, Tokens
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.limits.rules import Period
from penstock.accounts.limits.seeding import spent
from penstock.config.limits import KeyLimits, Limits, LimitSettings, Price
from support.gateways import ask, chat, post, running_gateway
from support.keys import listed, opened

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROWS = [
    UsageRow(key="key_a", team="research", model="dear", prompt_tokens=60, completion_tokens=40),
    UsageRow(key="key_a", team="research", model="cheap", prompt_tokens=7, completion_tokens=3),
    UsageRow(key="key_b", team="research", model="dear", prompt_tokens=5, completion_tokens=0, cached_tokens=5),
]
SETTINGS = LimitSettings(prices={"dear": Price(prompt=1.0, completion=2.0, cached=0.0)})


def test_what_was_taken_is_summed_for_keys_teams_and_models():
    sums = {rule.counter: amount for rule, amount in spent(ROWS, Period.DAY, SETTINGS).items()}
    assert sums == {
        "key:key_a:tokensPerDay": 110,
        "key:key_a:moneyPerDay": 140_000,
        "key:key_b:tokensPerDay": 5,
        "key:key_b:moneyPerDay": 0,
        "team:research:tokensPerDay": 115,
        "team:research:moneyPerDay": 140_000,
        "model:dear:tokensPerDay": 105,
        "model:dear:moneyPerDay": 140_000,
        "model:cheap:tokensPerDay": 10,
        "model:cheap:moneyPerDay": 0,
    }
    assert all(rule.counter.endswith("PerMonth") for rule in spent(ROWS, Period.MONTH, SETTINGS))


async def test_a_limiter_that_learned_refuses_what_is_spent():
    settings = SETTINGS.model_copy(update={"teams": {"research": Limits(tokens_per_month=115)}})
    limiter = Limiter(settings, wall=lambda: NOW)
    account = Account("key_c", "carol", "research")
    assert await limiter.admit(account, "cheap", 1)
    limiter.learn(ROWS, Period.MONTH, NOW)
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "cheap", 1)


async def test_what_is_known_already_is_not_counted_twice():
    limiter = Limiter(SETTINGS, wall=lambda: NOW)
    account = Account("key_a", "alice", "research", limits=KeyLimits(tokens_per_day=111))
    admission = await limiter.admit(account, "cheap", 1)
    assert admission is not None
    limiter.settle(admission, Tokens(60, 40))
    limiter.learn(ROWS, Period.DAY, NOW)
    limiter.learn(ROWS, Period.DAY, NOW)
    assert await limiter.admit(account, "cheap", 1)


async def test_a_ledger_that_cannot_be_asked_holds_nobody_up():
    async def report(_: Question) -> UsageReport:
        raise StoreError("it is away")

    limits = OpenLimits(LimitSettings())
    await limits.start(report)
    assert limits.missing == ""
    await limits.close()


@pytest.mark.integration
async def test_a_budget_outlives_a_gateway_without_redis(tmp_path: Path):
    key = secret.new_key()
    settings = {
        "database": {"sqlite": str(tmp_path / "accounts.db")},
        "usage": {"directory": str(tmp_path / "usage")},
    }
    # 8 tokens each.
    keys = {"alice": listed(key, limits={"tokensPerMonth": 16})}
    request = post(chat(), headers=[("authorization", f"Bearer {key}")])

    async def asked(times: int, *, known: bool) -> list[int]:
        async with opened(settings, keys) as accounts:
            assert accounts.usage is not None
            limits = OpenLimits(LimitSettings())
            async with asyncio.timeout(60):
                # Its entries are in the ledger a moment after it has begun.
                while known and not (await accounts.usage.report(Question())).total.prompt_tokens:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await limits.start(accounts.usage.report)
            async with running_gateway(accounts=accounts, limits=limits) as gateway:
                answers = [(await ask(gateway, request)).status for _ in range(times)]
            await limits.close()
            return answers

    assert await asked(2, known=False) == [200, 200]
    assert await asked(1, known=True) == [429]
