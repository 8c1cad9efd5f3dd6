"""The limiter over counters in memory, in virtual time: estimates, budgets, and who counts while Redis is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from penstock.accounts.account import Account
from penstock.accounts.limits.counters import CountersGoneError, Entry, Verdict
from penstock.accounts.limits.errors import OverLimitError
from penstock.accounts.limits.limiter import Admission, Limiter, Tokens
from penstock.accounts.limits.memory import MemoryCounters
from penstock.accounts.limits.rules import Charge, Kind
from penstock.config.limits import KeyLimits, Limits, LimitSettings, Price


class World:
    """Time of both kinds."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
        self.own = MemoryCounters(self.seconds)

    def seconds(self) -> float:
        return self.now.timestamp()

    def limiter(self, settings: LimitSettings | None = None, shared: Shared | None = None) -> Limiter:
        return Limiter(settings or LimitSettings(), shared, wall=lambda: self.now, own=self.own)


class Shared(MemoryCounters):
    """Counters that can go away."""

    def __init__(self, world: World) -> None:
        super().__init__(world.seconds)
        self.gone = False
        self.owed: list[Entry] = []

    async def admit(self, lease: str, charges: Sequence[Charge]) -> Verdict:
        if self.gone:
            raise CountersGoneError
        return await super().admit(lease, charges)

    def settle(self, entries: Sequence[Entry]) -> None:
        if self.gone:
            self.owed += [entry for entry in entries if entry.kind is Kind.BUDGET]
        else:
            super().settle(entries)

    def back(self) -> None:
        self.gone = False
        super().settle(self.owed)


def alice(**limits: float) -> Account:
    return Account(id="key_a", name="alice", owner="research", limits=KeyLimits.model_validate(limits))


async def entered(limiter: Limiter, account: Account, tokens: int = 0, model: str = "demo") -> Admission:
    admission = await limiter.admit(account, model, tokens)
    assert admission is not None
    return admission


@pytest.fixture
def world() -> World:
    return World()


async def test_nothing_is_counted_where_nothing_is_limited(world: World):
    assert await world.limiter().admit(alice(), "demo", 10**9) is None
    assert len(world.own) == 0


async def test_an_estimate_is_held_until_it_is_settled(world: World):
    limiter, account = world.limiter(), alice(tokensPerMinute=100)
    first = await entered(limiter, account, 90)
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 20)
    assert error.value.standing.tokens is not None
    assert error.value.standing.tokens.remaining == 10
    assert 60 <= (error.value.wait or 0) <= 60.5
    limiter.settle(first, Tokens(10, 15))
    assert (await entered(limiter, account, 75)).standing.tokens is not None


async def test_a_request_that_took_nothing_frees_its_tokens_and_its_slot_and_stays_a_request(world: World):
    limiter, account = world.limiter(), alice(tokensPerMinute=100, requestsPerMinute=2, requestsAtOnce=1)
    for _ in range(2):
        limiter.settle(await entered(limiter, account, 90), None)
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 1)
    assert error.value.rule.name == "requestsPerMinute"


async def test_the_limit_that_lasts_longest_is_named(world: World):
    limiter, account = world.limiter(), alice(requestsAtOnce=1, requestsPerMinute=1, tokensPerDay=1)
    first = await entered(limiter, account)
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 1)
    assert error.value.rule.name == "requestsPerMinute"
    limiter.settle(first, Tokens(1, 1))
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 1)
    assert (error.value.rule.name, error.value.wait) == ("tokensPerDay", 3600.0)


async def test_nobody_knows_when_a_slot_is_free(world: World):
    limiter, account = world.limiter(), alice(requestsAtOnce=1)
    await entered(limiter, account)
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 1)
    assert error.value.wait is None


async def test_budgets_begin_anew_with_their_day_and_their_month(world: World):
    limiter = world.limiter()
    daily, monthly = alice(tokensPerDay=100), alice(tokensPerMonth=100)
    for account in (daily, monthly):
        limiter.settle(await entered(limiter, account), Tokens(60, 40))
        with pytest.raises(OverLimitError):
            await limiter.admit(account, "demo", 1)
    world.now += timedelta(hours=1)
    assert await entered(limiter, daily)
    assert await entered(limiter, monthly)
    limiter.settle(await entered(limiter, monthly), Tokens(60, 40))
    world.now += timedelta(days=30)
    with pytest.raises(OverLimitError):
        await limiter.admit(monthly, "demo", 1)


async def test_what_is_over_after_midnight_is_of_the_next_day(world: World):
    limiter, account = world.limiter(), alice(tokensPerDay=100)
    admission = await entered(limiter, account)
    world.now += timedelta(hours=2)
    limiter.settle(admission, Tokens(100, 0))
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "demo", 1)


async def test_money_is_counted_by_the_prices_of_the_model(world: World):
    settings = LimitSettings(
        teams={"research": Limits(money_per_day=1.0)}, prices={"dear": Price(prompt=1.0, completion=3.0)}
    )
    limiter = world.limiter(settings)
    account = alice()
    for _ in range(5):
        limiter.settle(await entered(limiter, account, model="cheap"), Tokens(10**6, 10**6))
    limiter.settle(await entered(limiter, account, model="dear"), Tokens(10**5, 299_999))
    assert await entered(limiter, account, model="cheap")
    limiter.settle(await entered(limiter, account, model="dear"), Tokens(1, 1))
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "cheap", 1)
    assert error.value.rule.name == "moneyPerDay"


async def test_where_shared_counters_are_gone_nobody_is_let_in(world: World):
    shared = Shared(world)
    limiter = world.limiter(shared=shared)
    shared.gone = True
    assert limiter.refuses
    with pytest.raises(CountersGoneError):
        await limiter.admit(alice(requestsPerMinute=5), "demo", 1)
    assert await limiter.admit(alice(), "demo", 1) is None


async def test_own_counters_stand_in_where_the_document_says_so(world: World):
    shared = Shared(world)
    limiter = world.limiter(LimitSettings(without_redis="perGateway"), shared)
    account = alice(requestsPerMinute=1, requestsAtOnce=1)
    limiter.settle(await entered(limiter, account), None)
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "demo", 1)
    shared.gone = True
    assert limiter.gone
    assert not limiter.refuses
    admission = await entered(limiter, account)
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "demo", 1)
    shared.back()
    limiter.settle(admission, None)
    with pytest.raises(OverLimitError) as error:
        await limiter.admit(account, "demo", 1)
    assert error.value.rule.name == "requestsPerMinute"


async def test_a_budget_that_was_nearly_spent_is_not_whole_again_without_redis(world: World):
    shared = Shared(world)
    limiter = world.limiter(LimitSettings(without_redis="perGateway"), shared)
    account = alice(tokensPerMonth=100)
    limiter.settle(await entered(limiter, account), Tokens(80, 0))
    first = await entered(limiter, account)
    shared.gone = True
    limiter.settle(await entered(limiter, account), Tokens(20, 0))
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "demo", 1)
    shared.back()
    with pytest.raises(OverLimitError):
        await limiter.admit(account, "demo", 1)
    limiter.settle(first, None)
    await limiter.close()


def test_a_keys_share_is_its_own_or_that_of_every_key(world: World):
    limiter = world.limiter(LimitSettings(every_key=KeyLimits(share=2)))
    assert limiter.share_of(alice(share=5)) == 5
    assert limiter.share_of(Account(id="b", name="b", owner="b")) == 2
