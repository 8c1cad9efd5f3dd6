"""Limits as clients see them, through a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from openai import AsyncOpenAI, RateLimitError

from penstock.accounts import secret
from penstock.gateway.admission import written_duration
from penstock.gateway.catalog import ModelEntry
from support.gateways import (
    Behaviour,
    Gateway,
    Response,
    answers,
    ask,
    chat,
    connected,
    dies,
    eventually,
    get,
    post,
    refuses,
    running_gateway,
    stalls,
    streams,
)
from support.keys import listed, opened
from support.limits import open_limits

pytestmark = pytest.mark.integration

ALICE, BOB = secret.new_key(), secret.new_key()


class Address:
    """A gateway with two keys."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def open(
        self,
        *behaviours: Behaviour,
        limits: Mapping[str, Any],
        alice: Mapping[str, Any] | None = None,
        models: list[ModelEntry] | None = None,
    ) -> Gateway:
        keys = {
            "alice": listed(ALICE, owner="research", **({"limits": alice} if alice else {})),
            "bob": listed(BOB, owner="research"),
        }
        accounts = await self._stack.enter_async_context(opened({}, keys))
        opened_limits = await self._stack.enter_async_context(open_limits(limits))
        return await self._stack.enter_async_context(
            running_gateway(*behaviours, accounts=accounts, limits=opened_limits, models=models)
        )


@pytest.fixture
async def address() -> Any:
    async with AsyncExitStack() as stack:
        yield Address(stack)


def said(key: str, model: str = "demo", **more: Any) -> bytes:
    return post(chat(model, **more), headers=[("authorization", f"Bearer {key}")])


def remaining(answer: Response) -> tuple[int, int]:
    lines = answer.headers
    return int(lines["x-ratelimit-remaining-requests"]), int(lines["x-ratelimit-remaining-tokens"])


async def test_good_answers_tell_how_the_limits_stand(address: Address):
    gateway = await address.open(limits={}, alice={"requestsPerMinute": 10, "tokensPerMinute": 10_000})
    answer = await ask(gateway, said(ALICE, max_tokens=100))
    assert answer.status == 200
    assert answer.headers["x-ratelimit-limit-requests"] == "10"
    assert answer.headers["x-ratelimit-limit-tokens"] == "10000"
    assert answer.headers["x-ratelimit-reset-requests"].startswith(("1m", "59."))
    requests, tokens = remaining(answer)
    assert requests == 9
    assert 9_800 < tokens < 9_900
    assert "x-ratelimit-limit-requests" not in (await ask(gateway, said(BOB))).headers


async def test_what_was_estimated_is_settled_with_what_was_used(address: Address):
    gateway = await address.open(limits={}, alice={"requestsPerMinute": 10, "tokensPerMinute": 10_000})
    await ask(gateway, said(ALICE, max_tokens=5000))
    _, tokens = remaining(await ask(gateway, said(ALICE, max_tokens=0)))
    # 3 and 5 of the first, and an estimate of the second's body.
    assert 10_000 - 8 - 60 < tokens < 10_000 - 8 - 10


async def test_over_the_limit_is_429_with_when_to_come_again(address: Address):
    gateway = await address.open(limits={}, alice={"requestsPerMinute": 2})
    for _ in range(2):
        assert (await ask(gateway, said(ALICE))).status == 200
    refused = await ask(gateway, said(ALICE))
    assert refused.status == 429
    assert refused.error["code"] == "rate_limit_exceeded"
    assert refused.error["type"] == "rate_limit_error"
    assert "this key may take 2 requests a minute (requestsPerMinute)" in refused.error["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-penstock-layer"] == "accounts"
    assert len(gateway.engine.seen) == 2
    assert (await ask(gateway, said(BOB))).status == 200
    metrics = (await ask(gateway, get("/metrics"))).body.decode()
    assert 'penstock_gateway_limited_total{limit="requestsPerMinute",scope="key"} 1.0' in metrics


async def test_the_official_client_understands_it(address: Address):
    gateway = await address.open(limits={"everyKey": {"requestsPerMinute": 1}})
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=ALICE, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        raw = await client.chat.completions.with_raw_response.create(model="demo", messages=messages)
        assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(RateLimitError) as error:
            await client.chat.completions.create(model="demo", messages=messages)
        assert error.value.code == "rate_limit_exceeded"


async def test_a_team_and_a_model_are_limited_over_all_their_keys(address: Address):
    models = [ModelEntry("demo", ("default",)), ModelEntry("other")]
    limits = {"teams": {"research": {"requestsPerMinute": 3}}, "models": {"other": {"requestsPerMinute": 1}}}
    gateway = await address.open(limits=limits, models=models)
    assert (await ask(gateway, said(ALICE, "other"))).status == 200
    refused = await ask(gateway, said(BOB, "other"))
    assert "the model 'other' may take 1 requests a minute" in refused.error["message"]
    assert (await ask(gateway, said(BOB))).status == 200
    assert (await ask(gateway, said(ALICE, "default"))).status == 200
    refused = await ask(gateway, said(BOB))
    assert "the team 'research' may take 3 requests a minute" in refused.error["message"]


async def test_requests_without_a_key_are_limited_together():
    async with open_limits({"everyKey": {"requestsPerMinute": 1}}) as limits, running_gateway(limits=limits) as gateway:
        assert (await ask(gateway, post(chat(stream=True)))).status == 200
        assert (await ask(gateway, post(chat()))).status == 429
        # What it took is asked for, though nobody is asked who it is.
        assert b'"include_usage":true' in gateway.engine.seen[0].body


async def slot_is_free(gateway: Gateway) -> bool:
    gateway.engine.behaviour = answers
    return (await ask(gateway, said(ALICE))).status == 200


@pytest.mark.parametrize(
    "behaviour", [answers, streams(2), dies, streams(2, die=True), refuses(400, b'{"error":{"message":"no"}}')]
)
async def test_however_a_request_ends_its_slot_is_free(address: Address, behaviour: Behaviour):
    gateway = await address.open(behaviour, limits={}, alice={"requestsAtOnce": 1})
    await ask(gateway, said(ALICE, stream=True))
    assert await slot_is_free(gateway)


@pytest.mark.parametrize("behaviour", [stalls, streams(1000, gap=0.01)])
async def test_a_client_that_leaves_takes_its_slot_with_it(address: Address, behaviour: Behaviour):
    gateway = await address.open(behaviour, limits={}, alice={"requestsAtOnce": 1})
    async with connected(gateway) as client:
        await client.send(said(ALICE, stream=True))
        await eventually(lambda: gateway.engine.in_progress == 1)
        refused = await ask(gateway, said(ALICE))
        assert refused.status == 429
        assert "this key may take 1 requests at once" in refused.error["message"]
        assert int(refused.headers["retry-after"]) == 1
    gateway.engine.behaviour = answers
    async with asyncio.timeout(60):
        while (await ask(gateway, said(ALICE))).status == 429:  # noqa: ASYNC110  # only asking tells
            await asyncio.sleep(0.01)


async def test_a_client_that_leaves_while_it_waits_for_a_replica_takes_its_slot_with_it(address: Address):
    gateway = await address.open(limits={}, alice={"requestsAtOnce": 1})
    gateway.source.there.clear()
    async with connected(gateway) as client:
        await client.send(said(ALICE))
        await eventually(lambda: gateway.source.asked == 1)
        assert (await ask(gateway, said(ALICE))).status == 429
    gateway.source.there.set()
    async with asyncio.timeout(60):
        while (await ask(gateway, said(ALICE))).status == 429:  # noqa: ASYNC110  # only asking tells
            await asyncio.sleep(0.01)


async def test_a_request_that_is_wrong_in_itself_counts_nowhere(address: Address):
    gateway = await address.open(limits={}, alice={"requestsPerMinute": 1})
    assert (await ask(gateway, said(ALICE, "missing"))).status == 404
    assert (await ask(gateway, said(ALICE))).status == 200


async def test_a_request_that_failed_took_no_tokens(address: Address):
    gateway = await address.open(
        refuses(400, b'{"error":{"message":"no"}}'), limits={}, alice={"tokensPerMinute": 1000, "requestsPerMinute": 9}
    )
    for _ in range(4):
        assert (await ask(gateway, said(ALICE, max_tokens=800))).status == 400


async def test_a_budget_that_is_spent_is_told_and_not_tried_again(address: Address):
    gateway = await address.open(
        limits={"prices": {"demo": {"prompt": 1.0, "completion": 1.0}}}, alice={"moneyPerMonth": 0.00001}
    )
    assert (await ask(gateway, said(ALICE))).status == 200
    assert (await ask(gateway, said(ALICE))).status == 200
    refused = await ask(gateway, said(ALICE))
    assert refused.status == 429
    assert (refused.error["code"], refused.error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "this key may take 1e-05 a month (moneyPerMonth)" in refused.error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert 0 < int(refused.headers["retry-after"]) <= 31 * 86400
    assert (await ask(gateway, said(BOB))).status == 200


async def test_a_token_budget_counts_what_engines_counted(address: Address):
    gateway = await address.open(limits={"teams": {"research": {"tokensPerDay": 16}}})
    # 8 tokens each.
    assert [(await ask(gateway, said(key))).status for key in (ALICE, BOB, ALICE)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "0ms"), (0.3501, "351ms"), (1.0, "1s"), (12.5, "12.5s"), (60.5, "1m0.5s"), (7205.0, "2h0m5s")],
)
def test_durations_are_written_as_openai_does(seconds: float, written: str):
    assert written_duration(seconds) == written
