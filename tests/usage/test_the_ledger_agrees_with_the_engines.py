"""After two thousand requests of all kinds, with clients that leave, requests that are refused and tries that fail, the
sums of the ledger are those of the engines' own counters.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from penstock import aborting
from penstock.accounts import secret
from penstock.accounts.ledger.report import Question, UsageReport
from penstock.engine.command import TOKEN_GUARD
from support.counting import Tokens, counted_by, counting_gateway
from support.engines import ServerProcess, SimulatorServer, VllmServer, free_port, tiny_llama
from support.gateways import FakeEngine, dies, eventually
from support.keys import listed, opened
from support.mixed_usage import plans, send_all

pytestmark = pytest.mark.integration

REQUESTS = 2000
KEY = secret.new_key()
TOKEN = "token-of-the-engine"
SIMULATED = {"time_to_first_token": 0.01, "tokens_per_second": 1000, "output_tokens": 50, "max_num_seqs": 16}


@pytest.fixture(scope="module")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    """Two, which make clients wait for a place now and then."""
    folder = tmp_path_factory.mktemp("simulators")
    environment = {"PENSTOCK_ENGINE_TOKEN": TOKEN}
    with (
        SimulatorServer(SIMULATED, log=folder / "1.log", environment=environment) as first,
        SimulatorServer(SIMULATED, log=folder / "2.log", environment=environment) as second,
    ):
        yield [first, second]


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    """One under our guard, as replicas start it."""
    folder = tmp_path_factory.mktemp("vllm")
    options = {"served_model_name": "demo", "middleware": TOKEN_GUARD, "enable_prompt_tokens_details": True}
    environment = {"PENSTOCK_ENGINE_TOKEN": TOKEN}
    with VllmServer(tiny_llama(folder / "model"), options, log=folder / "log", environment=environment) as server:
        yield [server]


async def agree(engines: Sequence[ServerProcess], folder: Path, count: int) -> UsageReport:
    """Send so many requests, and compare."""
    settings = {"database": {"sqlite": str(folder / "accounts.db")}, "usage": {"directory": str(folder / "usage")}}
    deaf, deadly = f"http://127.0.0.1:{free_port()}", FakeEngine(dies)
    await deadly.start()
    before = await counted_by(*engines)
    urls = [*(engine.url for engine in engines), deaf, deadly.replica.base_url]
    async with opened(settings, {"team": listed(KEY, owner="research")}) as accounts:
        async with counting_gateway(urls, accounts, token=TOKEN, settings={"attempts": 5}) as gateway:
            ends = await send_all(gateway.url, plans(count, seed=6), {"authorization": f"Bearer {KEY}"})
            await eventually(lambda: not gateway.app.pools["demo"].lent)
            metrics = gateway.app.metrics.text().decode()
        assert accounts.usage is not None
        ledger, usage = accounts.usage.ledger, accounts.usage
        (noted,) = re.findall(r'penstock_usage_requests_total\{model="demo",team="research"\} (\d+)', metrics)
        await eventually(lambda: ledger.stored == int(noted))
        report = await usage.report(Question())
    await deadly.stop()
    assert sum(ends.values()) - ends["again"] == count
    for kind in ("200", "400", "404", "left", "again"):
        assert ends[kind] > count / 100, f"there were too few of {kind}: {ends}"
    assert 'reason="refused"' in metrics, "some were tried again where an engine did not listen"
    assert 'reason="died"' in metrics, "some were tried again where an engine broke off"
    assert report.total.requests == int(noted)
    # Who leaves at once may be gone before the gateway has read what it asks for.
    assert sum(ends.values()) - ends["404"] - ends["left"] <= int(noted) <= sum(ends.values()) - ends["404"]
    assert report.total.guessed == 0
    found = Tokens(report.total.prompt_tokens, report.total.completion_tokens)
    assert found == await counted_by(*engines) - before
    return report


def shape(value: Any) -> Any:
    """What there is, without what it says; but why an answer ended."""
    if isinstance(value, dict):
        ends = {"finish_reason", "stop_reason", "status", "type", "object"}
        return {name: part if name in ends else shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


async def stopped(server: ServerProcess, path: str, body: dict[str, Any]) -> list[Any]:
    """The end of an answer that is stopped after it has begun: the events behind the last token, or the whole."""
    headers = {"authorization": f"Bearer {TOKEN}", "x-request-id": f"stopped-{secrets.token_hex(4)}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60, verify=False) as client:
        if not body.get("stream"):
            task = asyncio.ensure_future(client.post(path, json=body))
            while not task.done():
                await asyncio.wait([task], timeout=0.2)
                assert (await client.post(aborting.PATH)).status_code == 204
            answer = orjson.loads((await task).content)
            assert 0 < answer["usage"]["completion_tokens"] < body["max_tokens"]
            return [answer["choices"][0]["finish_reason"]]
        events: list[Any] = []
        async with client.stream("POST", path, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    events.append(orjson.loads(line.removeprefix("data: ")))
                    if len(events) == 5:
                        assert (await client.post(aborting.PATH)).status_code == 204
    used = events[-1]["usage"]["completion_tokens"]
    assert 0 < used < body["max_tokens"]
    return [shape(event) for event in events[-2:]]


@pytest.mark.engine
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_that_is_stopped_ends_as_it_does_in_vllm(
    simulator_server: list[ServerProcess], vllm_server: list[ServerProcess], path: str, *, streams: bool
):
    said = {"messages": [{"role": "user", "content": "Hello"}]} if "chat" in path else {"prompt": "Hello"}
    body: dict[str, Any] = {"model": "demo", **said, "max_tokens": 900, "ignore_eos": True, "stream": streams}
    if streams:
        body["stream_options"] = {"include_usage": True}
    ours, theirs = await stopped(simulator_server[0], path, body), await stopped(vllm_server[0], path, body)
    # What it says of its cache is an option of vLLM.
    for end in (ours[-1], theirs[-1]):
        if streams:
            end["usage"].pop("prompt_tokens_details", None)
    assert ours == theirs


@pytest.mark.timeout(600)
async def test_after_two_thousand_mixed_requests_it_agrees_with_simulators(
    simulator_server: list[ServerProcess], tmp_path: Path
):
    report = await asyncio.wait_for(agree(simulator_server, tmp_path, REQUESTS), 580)
    assert report.total.completion_tokens > REQUESTS


@pytest.mark.engine
@pytest.mark.timeout(1200)
async def test_after_two_thousand_mixed_requests_it_agrees_with_a_real_vllm(
    vllm_server: list[ServerProcess], tmp_path: Path
):
    report = await asyncio.wait_for(agree(vllm_server, tmp_path, REQUESTS), 1100)
    assert report.total.completion_tokens > REQUESTS
