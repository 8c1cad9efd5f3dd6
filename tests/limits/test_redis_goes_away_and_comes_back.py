"""Redis is killed, hangs and comes back under load. What becomes of requests is what the document says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from penstock.accounts import secret
from penstock.accounts.errors import StoreError
from penstock.accounts.limits.opening import OpenLimits
from penstock.config.limits import LimitSettings
from support.gateways import Gateway, Response, ask, chat, eventually, get, post, running_gateway, streams
from support.keys import listed, opened
from support.limits import VARIABLE, in_redis, open_limits
from support.redis import client, url_of
from support.servers import Server

pytestmark = pytest.mark.integration

ALICE, FREE = secret.new_key(), secret.new_key()
CLIENTS = 20


@asynccontextmanager
async def gateway_with(settings: dict[str, Any], **alice: Any) -> AsyncIterator[tuple[Gateway, OpenLimits]]:
    keys = {"alice": listed(ALICE, limits=alice), "free": listed(FREE)}
    async with (
        opened({}, keys) as accounts,
        open_limits(settings) as limits,
        running_gateway(accounts=accounts, limits=limits) as gateway,
    ):
        yield gateway, limits


async def say(gateway: Gateway, key: str = ALICE, **more: Any) -> Response:
    return await ask(gateway, post(chat(**more), headers=[("authorization", f"Bearer {key}")]))


@asynccontextmanager
async def load(gateway: Gateway) -> AsyncIterator[Counter[str]]:
    """Clients that ask again and again; what they are told, by status and code."""
    told: Counter[str] = Counter()
    over = False

    async def one() -> None:
        while not over:
            answer = await say(gateway)
            told[str(answer.status) + ("" if answer.status == 200 else f" {answer.error['code']}")] += 1

    clients = [asyncio.create_task(one()) for _ in range(CLIENTS)]
    try:
        yield told
    finally:
        over = True
        await asyncio.gather(*clients)


async def more(told: Counter[str], what: str, by: int = 2 * CLIENTS) -> None:
    goal = told[what] + by
    await eventually(lambda: told[what] >= goal)


@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_by_default_limited_requests_are_refused_while_it_is_gone(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch, how: str
):
    settings = in_redis(monkeypatch, redis_of_its_own)
    async with gateway_with(settings, requestsPerMinute=10**9, requestsAtOnce=CLIENTS) as (gateway, _):
        async with load(gateway) as told:
            await more(told, "200")
            assert set(told) == {"200"}
            redis_of_its_own.kill() if how == "killed" else redis_of_its_own.pause()
            try:
                await more(told, "503 limits_unavailable")
                served = told["200"]
                await more(told, "503 limits_unavailable")
                assert told["200"] == served
                assert (await say(gateway, FREE)).status == 200
                assert (await ask(gateway, get("/readyz"))).status == 200
                shown = (await ask(gateway, get("/metrics"))).body
                assert b"penstock_gateway_limit_counters_gone 1.0" in shown
            finally:
                redis_of_its_own.start() if how == "killed" else redis_of_its_own.resume()
            await more(told, "200")
        assert set(told) <= {"200", "503 limits_unavailable", "429 rate_limit_exceeded"}
        assert b"penstock_gateway_limit_counters_gone 0.0" in (await ask(gateway, get("/metrics"))).body
        # No slot is left taken, whatever was in progress when.
        with client(redis_of_its_own) as connected:
            await eventually(lambda: connected.zcard("{penstock}:key:document:alice:requestsAtOnce") == 0)


async def test_where_the_document_says_so_each_gateway_counts_for_itself_meanwhile(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    settings = in_redis(monkeypatch, redis_of_its_own, withoutRedis="perGateway")
    async with gateway_with(settings, requestsPerMinute=30) as (gateway, limits):
        async with load(gateway) as told:
            await eventually(lambda: told["200"] == 30)
            await more(told, "429 rate_limit_exceeded")
            assert told["200"] == 30
            redis_of_its_own.kill()
            try:
                await eventually(lambda: told["200"] == 60)
                await more(told, "429 rate_limit_exceeded")
                assert told["200"] == 60
                shown = (await ask(gateway, get("/metrics"))).body
                assert b"penstock_gateway_limit_counters_gone 1.0" in shown
            finally:
                redis_of_its_own.start()
            # It has lost its data, so there is another minute's worth.
            await eventually(lambda: told["200"] == 90)
        assert set(told) == {"200", "429 rate_limit_exceeded"}
        assert not limits.limiter.gone


async def test_a_gateway_that_never_reached_it_is_not_ready(redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch):
    settings = in_redis(monkeypatch, redis_of_its_own)
    redis_of_its_own.kill()
    async with gateway_with(settings, requestsPerMinute=5) as (gateway, _):
        ready = await ask(gateway, get("/readyz"))
        assert (ready.status, ready.error["code"]) == (503, "limits_unavailable")
        assert (await say(gateway)).error["code"] == "limits_unavailable"
        redis_of_its_own.start()
        async with asyncio.timeout(60):
            while (await ask(gateway, get("/readyz"))).status != 200:  # noqa: ASYNC110  # only asking tells
                await asyncio.sleep(0.02)
        assert (await say(gateway)).status == 200


async def test_what_was_spent_while_it_was_gone_is_counted_when_it_is_back(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch
):
    settings = in_redis(monkeypatch, redis_of_its_own)
    end = asyncio.Event()
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":40,"completion_tokens":60}}\n\n'
    async with gateway_with(settings, tokensPerDay=100) as (gateway, limits):
        gateway.engine.behaviour = streams(2, wait=end, chunk=usage)
        asking = asyncio.create_task(say(gateway, stream=True, stream_options={"include_usage": True}))
        await eventually(lambda: gateway.engine.in_progress == 1)
        redis_of_its_own.kill()
        try:
            await eventually(lambda: limits.limiter.gone)
            end.set()
            assert (await asking).status == 200
        finally:
            redis_of_its_own.start()
        await eventually(lambda: not limits.limiter.gone)
        async with asyncio.timeout(60):
            while (answer := await say(gateway)).status == 200:  # noqa: ASYNC110  # only asking tells
                await asyncio.sleep(0.02)
        assert answer.error["code"] == "insufficient_quota"


async def test_budgets_outlive_a_gateway(redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch):
    settings = in_redis(monkeypatch, redis_of_its_own, prices={"demo": {"completion": 1.0}})
    for status in (200, 429):
        # 5 tokens of an answer at a millionth each.
        async with gateway_with(settings, moneyPerMonth=0.000005) as (gateway, _):
            assert (await say(gateway)).status == status


async def test_its_password_is_in_no_log(
    redis_of_its_own: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv(VARIABLE, url_of(redis_of_its_own).replace("redis://:", "redis://:wrong"))
    async with open_limits({"redis": {"env": VARIABLE}}) as limits:
        assert limits.missing
    assert "cannot be reached" in caplog.text
    assert redis_of_its_own.password not in "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("address", ["", "http://host", "redis://:pass@host:port/0"])
def test_an_address_that_is_none_is_told_without_showing_it(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, address)

    async def make() -> None:
        OpenLimits(LimitSettings.model_validate({"redis": {"env": VARIABLE}}))

    with pytest.raises(StoreError) as error:
        asyncio.run(make())
    assert "pass" not in str(error.value).replace(":password@", "")
