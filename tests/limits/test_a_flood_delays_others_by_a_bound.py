"""Accounts wait in turn: what one sends delays others by no more than a bound, and takes no more room than its part."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.accounts import secret
from penstock.gateway.errors import BusyError, GatewayError, UnavailableError
from penstock.gateway.turns import Holding, Line, Turns, who_gives_way
from penstock.gateway.waiting import HoldBounds, Waiter, WaitingQueue
from support.gateways import Gateway, ask, chat, connected, eventually, post, running_gateway, streams
from support.keys import listed, opened
from support.limits import open_limits

ACCOUNTS = "abcd"
LASTING = {"leases": {"renew": "1h", "keep": "1h"}}
moves = st.lists(st.one_of(st.sampled_from(ACCOUNTS), st.just("serve"), st.just("again")), max_size=80)
shares = st.fixed_dictionaries({account: st.integers(1, 4) for account in ACCOUNTS})


@given(moves, shares)
def test_the_only_request_of_an_account_waits_for_one_turn_of_each_other(steps: list[str], share: dict[str, int]):
    turns: Turns[int] = Turns()
    number = 0
    waiting: dict[str, deque[int]] = {account: deque() for account in ACCOUNTS}
    allowed: dict[int, int] = {}  # services that may come before one
    again: list[int] = []
    for step in steps:
        number += 1
        if step == "again":
            turns.enter_first(number)
            again.append(number)
        elif step != "serve":
            if not waiting[step]:
                allowed[number] = sum(share[other] for other in ACCOUNTS if other != step and waiting[other])
            turns.enter(number, Line(step, share[step]))
            waiting[step].append(number)
        elif (served := turns.next()) is not None:
            if again:
                # Who waits again comes first, the last one before all.
                assert served == again.pop()
                continue
            account = next(account for account in ACCOUNTS if waiting[account] and waiting[account][0] == served)
            waiting[account].popleft()
            allowed.pop(served, None)
            allowed = {each: left - 1 for each, left in allowed.items()}
            assert all(left >= 0 for left in allowed.values())
        else:
            assert not again
            assert not any(waiting.values())
        assert len(turns) == len(again) + sum(map(len, waiting.values()))


@given(st.lists(st.sampled_from(ACCOUNTS), min_size=1, max_size=60), shares)
def test_whoever_waits_is_served_by_its_share(order: list[str], share: dict[str, int]):
    turns: Turns[tuple[str, int]] = Turns()
    for number, account in enumerate(order):
        turns.enter((account, number), Line(account, share[account]))
    left = Counter(order)
    served: list[tuple[str, int]] = []
    while (one := turns.next()) is not None:
        served.append(one)
    for account in ACCOUNTS:
        mine = [number for name, number in served if name == account]
        assert mine == sorted(mine)
    # As long as all wait, each turn of all is their shares.
    here = [account for account in ACCOUNTS if left[account]]
    rounds = min(left[account] // share[account] for account in here)
    first = Counter(account for account, _ in served[: rounds * sum(share[account] for account in here)])
    assert all(first[account] == rounds * share[account] for account in here)


def test_whoever_leaves_is_in_nobodys_way():
    turns: Turns[str] = Turns()
    for item, account in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")]:
        turns.enter(item, Line(account))
    turns.enter_first("first")
    turns.leave("a1")
    turns.leave("b2")
    turns.leave("first")
    turns.leave("nobody")
    assert list(turns) == ["a2", "b1"]
    assert [turns.next(), turns.next(), turns.next()] == ["a2", "b1", None]


@given(
    st.dictionaries(st.sampled_from(ACCOUNTS), st.builds(Holding, st.integers(1, 20), st.integers(1, 4)), max_size=4),
    st.sampled_from(ACCOUNTS),
)
def test_nobody_gives_way_to_one_who_then_has_more(holdings: dict[str, Holding], newcomer: str):
    share = holdings.get(newcomer, Holding(0)).share
    giver = who_gives_way(holdings, Line(newcomer, share))
    mine = (holdings.get(newcomer, Holding(0)).places + 1) / share
    if giver is not None:
        assert giver != newcomer
        assert (holdings[giver].places - 1) / holdings[giver].share >= mine
    else:
        assert all((has.places - 1) / has.share < mine for name, has in holdings.items() if name != newcomer)


class Refusals:
    def full(self, held: int) -> GatewayError:
        return BusyError(f"{held}")

    def too_long(self) -> GatewayError:
        return UnavailableError("too long")


def held(requests: int) -> WaitingQueue[int]:
    bounds = HoldBounds(requests, 3600.0, 3600.0)
    return WaitingQueue(bounds, Refusals(), coming=lambda: False, starved=lambda: True)


async def test_a_flood_leaves_room_for_others_and_its_last_ones_are_refused():
    waiting = held(10)
    flood = [waiting.enter(Line("flood")) for _ in range(10)]
    with pytest.raises(BusyError):
        waiting.enter(Line("flood"))
    others = [waiting.enter(Line("other")) for _ in range(5)]
    assert waiting.held == 10
    assert [waiter.future.done() for waiter in flood] == [False] * 5 + [True] * 5
    for waiter in flood[5:]:
        assert isinstance(waiter.future.exception(), BusyError)
        waiting.leave(waiter)
    with pytest.raises(BusyError):
        waiting.enter(Line("other"))
    third = waiting.enter(Line("third"))
    assert waiting.held == len([each for each in [*flood, *others, third] if not each.future.done()]) == 10
    for waiter in [*flood, *others, third]:
        waiter.future.cancelled() or waiter.future.done() or waiter.future.cancel()
        waiting.leave(waiter)
    assert (len(waiting), waiting.held) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["enter", "serve", "leave", "again"]), st.sampled_from(ACCOUNTS))))
def test_the_bound_holds_and_whoever_is_refused_had_its_part(steps: list[tuple[str, str]]):
    bound = 6

    async def run() -> None:
        waiting = held(bound)
        here: list[Waiter[int]] = []
        for step, account in steps:
            mine = [each for each in here if each.line.account == account and not each.again]
            if step == "enter":
                try:
                    here.append(waiting.enter(Line(account)))
                except BusyError:
                    accounts = {each.line.account for each in here if not each.again} | {account}
                    again = sum(each.again for each in here)
                    assert (len(mine) + 1) * len(accounts) >= bound + 1 - again
            elif step == "again":
                here.insert(0, waiting.enter(Line(account), again=True))
            elif step == "serve" and here:
                served = waiting.next()
                assert served is not None
                here.remove(served)
                waiting.leave(served)
            elif step == "leave" and mine:
                here.remove(mine[-1])
                waiting.leave(mine[-1])
            for refused in [each for each in here if each.future.done()]:
                assert refused.future.exception() is not None
                assert not refused.again
                here.remove(refused)
                waiting.leave(refused)
            assert waiting.held == len(waiting) == len(here)
            assert sum(not each.again for each in here) <= bound
        for each in here:
            waiting.leave(each)

    asyncio.run(run())


@pytest.mark.integration
async def test_through_a_gateway_a_flood_of_one_key_does_not_hold_up_another():
    flood, other = secret.new_key(), secret.new_key()
    order: list[str] = []
    end = asyncio.Event()

    async def say(gateway: Gateway, key: str) -> None:
        answer = await ask(gateway, post(chat(), headers=[("authorization", f"Bearer {key}")]))
        assert answer.status == 200
        order.append(key)

    async with AsyncExitStack() as stack:
        accounts = await stack.enter_async_context(opened({}, {"flood": listed(flood), "other": listed(other)}))
        limits = await stack.enter_async_context(open_limits({}))
        gateway = await stack.enter_async_context(running_gateway(accounts=accounts, limits=limits, settings=LASTING))
        pool = gateway.app.pools["demo"]
        # A replica that takes one request at a time.
        gateway.engine.behaviour = streams(2, wait=end)
        async with connected(gateway) as first:
            await first.send(post(chat(), headers=[("authorization", f"Bearer {flood}")]))
            await eventually(lambda: gateway.engine.in_progress == 1)
            gateway.source.there.clear()
            waiting = [asyncio.create_task(say(gateway, flood)) for _ in range(30)]
            await eventually(lambda: pool.waiting == 30)
            waiting.append(asyncio.create_task(say(gateway, other)))
            await eventually(lambda: pool.waiting == 31)
            # The only lease that there is goes from one to the next.
            end.set()
            await asyncio.gather(*waiting)
    assert order.index(other) <= 2
