"""The road to a second, real Penstock with a simulator behind it, which asks for a key of its own and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI, BadRequestError

from penstock.accounts import secret
from support.counting import CountingGateway, counted_by, counting_gateway
from support.engines import SimulatorServer
from support.gateways import Gateway, dies, eventually, refuses, running_gateway
from support.keys import listed, opened
from support.providers import VARIABLE, tell

pytestmark = pytest.mark.integration

MESSAGES = [{"role": "user", "content": "Tell me of the river."}]
THEIR_KEY = secret.new_key()
TOO_LONG = refuses(400, b'{"error":{"message":"This model\'s maximum context length is 8 tokens.","code":400}}')


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    pace = {"time_to_first_token": 0.02, "tokens_per_second": 200, "output_tokens": 40, "max_model_len": 512}
    with SimulatorServer(pace, log=tmp_path_factory.mktemp("simulator") / "log") as server:
        yield server


@asynccontextmanager
async def penstocks(
    engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Gateway, CountingGateway]]:
    """Ours, whose engine dies of every request, and theirs."""
    monkeypatch.setenv(VARIABLE, THEIR_KEY)
    async with (
        opened({}, {"us": listed(THEIR_KEY)}) as accounts,
        counting_gateway([engine.url], accounts) as theirs,
        running_gateway(dies, settings={"attempts": 1}) as ours,
    ):
        tell(ours, theirs.url, models={"big": {"model": "demo"}})
        yield ours, theirs


def client_of(gateway: Gateway) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="mine", max_retries=0)


async def test_answers_and_streams_come_whole_and_are_counted_there(
    engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch
):
    before = await counted_by(engine)
    async with penstocks(engine, monkeypatch) as (ours, theirs), client_of(ours) as client:
        raw = await client.chat.completions.with_raw_response.create(model="big", messages=MESSAGES, seed=1)
        whole = raw.parse()
        assert raw.headers["x-penstock-provider"] == "cloud"
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 40
        stream = await client.chat.completions.create(model="big", messages=MESSAGES, stream=True, seed=1)
        words = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(words) == whole.choices[0].message.content
        assert theirs.tokens() == await counted_by(engine) - before
        assert theirs.tokens().completion == 80
        text = ours.app.metrics.text().decode()
        assert 'penstock_provider_requests_total{outcome="answered",provider="cloud"} 2.0' in text


async def test_a_fallback_is_a_stream_as_any_other(engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch):
    async with penstocks(engine, monkeypatch) as (ours, _), client_of(ours) as client:
        raw = await client.chat.completions.with_raw_response.create(model="demo", messages=MESSAGES, stream=True)
        assert (raw.headers["x-penstock-provider"], raw.headers["x-penstock-fallback"]) == ("cloud", "failed")
        assert len([chunk async for chunk in raw.parse() if chunk.choices]) >= 40


async def test_a_prompt_that_is_too_long_here_is_answered_there_and_one_that_is_there_too_is_told(
    engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch
):
    async with penstocks(engine, monkeypatch) as (ours, _), client_of(ours) as client:
        ours.engine.behaviour = TOO_LONG
        raw = await client.chat.completions.with_raw_response.create(model="demo", messages=MESSAGES)
        assert raw.headers["x-penstock-fallback"] == "tooLong"
        endless = [{"role": "user", "content": "word " * 5000}]
        with pytest.raises(BadRequestError, match="maximum context length is 512") as refusal:
            await client.chat.completions.create(model="big", messages=endless)
        assert refusal.value.response.headers["x-penstock-layer"] == "provider"


async def test_a_client_that_leaves_frees_the_engine_behind_the_other(
    engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch
):
    async with penstocks(engine, monkeypatch) as (ours, theirs), client_of(ours) as client:
        stream = await client.chat.completions.create(model="big", messages=MESSAGES, stream=True, max_tokens=400)
        await anext(aiter(stream))
        await stream.close()
        pool = theirs.app.pools["demo"]
        await eventually(lambda: not pool.lent)
        assert theirs.tokens().completion < 400


async def test_many_at_once_get_each_their_own(engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch):
    async with penstocks(engine, monkeypatch) as (ours, _), client_of(ours) as client:

        async def one(tokens: int) -> int:
            answer = await client.chat.completions.create(
                model="big", messages=MESSAGES, max_tokens=tokens, extra_body={"ignore_eos": True}
            )
            assert answer.usage is not None
            return answer.usage.completion_tokens

        wanted = [1 + number for number in range(24)]
        assert await asyncio.gather(*map(one, wanted)) == wanted


async def test_a_wrong_key_is_ours_to_mend_and_not_the_clients(
    engine: SimulatorServer, monkeypatch: pytest.MonkeyPatch
):
    async with penstocks(engine, monkeypatch) as (ours, _), client_of(ours) as client:
        monkeypatch.setenv(VARIABLE, secret.new_key())
        with pytest.raises(Exception, match="does not accept our key") as refusal:
            await client.chat.completions.create(model="big", messages=MESSAGES)
        assert refusal.value.response.json()["error"]["code"] == "provider_key_refused"
