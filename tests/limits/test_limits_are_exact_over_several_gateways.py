"""Four gateways, one Redis: never over a limit, and next to nothing under it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from bisect import bisect_left
from contextlib import AsyncExitStack
from typing import Any

import pytest

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.limits.counters import LEASE, CountersGoneError, Verdict
from penstock.accounts.limits.errors import OverLimitError
from penstock.accounts.limits.limiter import Limiter, Tokens
from penstock.accounts.limits.redis import RedisCounters
from penstock.config.limits import KeyLimits, Limits, LimitSettings
from support.gateways import ask, chat, eventually, post, running_gateway
from support.keys import listed, opened
from support.limits import in_redis, open_limits
from support.redis import url_of
from support.servers import Server

pytestmark = pytest.mark.integration

GATEWAYS, CLIENTS = 4, 200
MINUTE = 60_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


def alice(**limits: int) -> Account:
    return Account(id="key_a", name="alice", owner="research", limits=KeyLimits(**limits))


async def limiters(
    stack: AsyncExitStack, server: Server, settings: LimitSettings | None = None, clock: Clock | None = None
) -> list[Limiter]:
    made = []
    for _ in range(GATEWAYS):
        counters = RedisCounters(url_of(server), clock)
        made.append(Limiter(settings or LimitSettings(), counters))
        stack.push_async_callback(made[-1].close)
        await counters.open()
        await there(counters)
    return made


async def there(counters: RedisCounters) -> None:
    """A busy machine may not reach it at the first try."""
    await eventually(lambda: not counters.gone)


async def test_a_crowd_at_four_gateways_gets_the_limit_of_every_minute_and_no_more(redis_of_its_own: Server):
    limit, minutes = 500, 20
    clock = Clock()
    began = clock.now
    end = began + minutes * MINUTE
    account = alice(requests_per_minute=limit)
    # A second limit that is never reached, so that all must be asked.
    settings = LimitSettings(teams={"research": Limits(requests_per_minute=100 * limit)})
    taken: list[int] = []
    async with AsyncExitStack() as stack:
        gateways = await limiters(stack, redis_of_its_own, settings, clock)
        waiting = 0
        again = asyncio.Event()

        async def client(limiter: Limiter) -> None:
            nonlocal waiting, again
            while clock.now < end:
                try:
                    admission = await limiter.admit(account, "demo", 1)
                except OverLimitError as error:
                    waiting += 1
                    if waiting == CLIENTS:
                        # Nobody gets any further now, so time passes.
                        clock.now += max(1, round((error.wait or 0.0) * 1000))
                        waiting = 0
                        again.set()
                        again = asyncio.Event()
                    else:
                        await again.wait()
                    continue
                assert admission is not None
                taken.append(clock.now)
                clock.now += 3
                limiter.settle(admission, Tokens(1, 0))
            # Whoever still waits has nobody left to wake it.
            waiting += 1
            again.set()

        async with asyncio.timeout(240):
            await asyncio.gather(*(client(gateways[number % GATEWAYS]) for number in range(CLIENTS)))
    taken = sorted(moment for moment in taken if moment < end)
    for position, moment in enumerate(taken):
        assert position + 1 - bisect_left(taken, moment - MINUTE + 1) <= limit
    assert 0.98 * minutes * limit <= len(taken) <= minutes * limit


async def test_never_more_are_in_progress_than_may_be_and_no_slot_stays_empty(redis_of_its_own: Server):
    limit = 17
    account = alice(requests_at_once=limit)
    now = most = served = 0
    async with AsyncExitStack() as stack:
        gateways = await limiters(stack, redis_of_its_own)
        full = asyncio.Event()

        async def client(limiter: Limiter) -> None:
            nonlocal now, most, served
            while True:
                try:
                    admission = await limiter.admit(account, "demo", 1)
                    break
                except OverLimitError:
                    await asyncio.sleep(0.002)
            assert admission is not None
            now += 1
            most = max(most, now)
            if now == limit:
                full.set()
            # The first stay until all slots are taken, so that it is seen whether they are.
            await full.wait()
            await asyncio.sleep(0)
            now -= 1
            served += 1
            limiter.settle(admission, None)

        async with asyncio.timeout(120):
            await asyncio.gather(*(client(gateways[number % GATEWAYS]) for number in range(CLIENTS)))
    assert (most, served) == (limit, CLIENTS)


async def test_two_hundred_clients_of_four_real_gateways_are_served_as_often_as_the_limit_says(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    key = secret.new_key()
    settings = in_redis(monkeypatch, redis_of_its_own, teams={"research": {"requestsPerMinute": 60}})
    lines = [("authorization", f"Bearer {key}")]
    async with AsyncExitStack() as stack:
        gateways = []
        for _ in range(GATEWAYS):
            accounts = await stack.enter_async_context(opened({}, {"alice": listed(key, owner="research")}))
            limits = await stack.enter_async_context(open_limits(settings))
            gateways.append(await stack.enter_async_context(running_gateway(accounts=accounts, limits=limits)))
        asked = [ask(gateways[number % GATEWAYS], post(chat(), headers=lines)) for number in range(CLIENTS)]
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
    assert (statuses.count(200), statuses.count(429)) == (60, CLIENTS - 60)


async def test_the_slots_of_a_killed_gateway_are_free_after_a_while(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    code = (
        "import asyncio, os\n"
        "from penstock.accounts.account import Account\n"
        "from penstock.accounts.limits.limiter import Limiter\n"
        "from penstock.accounts.limits.redis import RedisCounters\n"
        "from penstock.config.limits import KeyLimits, LimitSettings\n"
        "async def main():\n"
        "    counters = RedisCounters(os.environ['TEST_REDIS'])\n"
        "    await counters.open()\n"
        "    account = Account('key_a', 'alice', 'research', limits=KeyLimits(requests_at_once=1))\n"
        "    await Limiter(LimitSettings(), counters).admit(account, 'demo', 1)\n"
        "    print('in', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    in_redis(monkeypatch, redis_of_its_own)
    gateway = subprocess.Popen(  # noqa: ASYNC220  # it only starts it
        [sys.executable, "-c", code], stdout=subprocess.PIPE
    )
    assert gateway.stdout is not None
    assert await asyncio.to_thread(gateway.stdout.readline) == b"in\n"
    account = alice(requests_at_once=1)
    async with AsyncExitStack() as stack:
        other, *_ = await limiters(stack, redis_of_its_own)
        with pytest.raises(OverLimitError):
            await other.admit(account, "demo", 1)
        gateway.send_signal(signal.SIGKILL)
        await asyncio.to_thread(gateway.wait)
        gateway.stdout.close()
        async with asyncio.timeout(4 * LEASE):
            while True:
                try:
                    assert await other.admit(account, "demo", 1)
                    break
                except (OverLimitError, CountersGoneError):
                    await asyncio.sleep(0.2)


async def test_a_request_that_takes_long_keeps_its_slot(redis_of_its_own: Server):
    clock = Clock()
    account = alice(requests_at_once=1)
    async with AsyncExitStack() as stack:
        mine, other, *_ = await limiters(stack, redis_of_its_own, clock=clock)
        admission = await mine.admit(account, "demo", 1)
        assert admission is not None
        counters = mine._shared
        assert isinstance(counters, RedisCounters)
        for _ in range(5):
            clock.now += int(LEASE * 800)
            await counters._renew()
            with pytest.raises(OverLimitError):
                await other.admit(account, "demo", 1)
        mine.settle(admission, None)
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await other.admit(account, "demo", 1)
                    break
                except OverLimitError:
                    await asyncio.sleep(0.01)


async def test_a_client_that_leaves_while_redis_is_asked_takes_nothing(redis_of_its_own: Server):
    account = alice(requests_at_once=3, requests_per_minute=1000)
    async with AsyncExitStack() as stack:
        limiter, *_ = await limiters(stack, redis_of_its_own)
        for moment in range(120):
            asking = asyncio.create_task(limiter.admit(account, "demo", 1))
            for _ in range(moment % 40):
                await asyncio.sleep(0)
            asking.cancel()
            try:
                admission = await asking
            except (asyncio.CancelledError, OverLimitError):
                continue
            assert admission is not None
            limiter.settle(admission, None)
        async with asyncio.timeout(60):
            while True:
                try:
                    admissions = [await limiter.admit(account, "demo", 1) for _ in range(3)]
                    break
                except OverLimitError:
                    await asyncio.sleep(0.01)
        assert all(admissions)


async def test_a_client_that_leaves_in_the_moment_in_which_it_is_let_in_takes_nothing(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    account = alice(requests_at_once=1)
    async with AsyncExitStack() as stack:
        limiter, *_ = await limiters(stack, redis_of_its_own)
        counters = limiter._shared
        assert isinstance(counters, RedisCounters)
        asking = asyncio.create_task(limiter.admit(account, "demo", 1))
        tell = counters._tell

        def told_and_gone(question: Any, verdict: Verdict) -> None:
            tell(question, verdict)
            asking.cancel()

        with monkeypatch.context() as patched:
            patched.setattr(counters, "_tell", told_and_gone)
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert await limiter.admit(account, "demo", 1)
