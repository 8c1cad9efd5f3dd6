"""What a request has used is counted to the token when its client leaves, because the engine is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from penstock import aborting
from support.counting import counted_by, counting_gateway, leave_after
from support.engines import SimulatorServer
from support.gateways import Seen, answers, chat, connected, eventually, post, running_gateway, streams
from support.keys import opened

pytestmark = pytest.mark.integration

MESSAGES = [{"role": "user", "content": "Tell me of the river."}]
SLOW: dict[str, Any] = {"time_to_first_token": 0.05, "tokens_per_second": 100, "output_tokens": 400, "max_num_seqs": 8}


@pytest.fixture(scope="module")
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorServer]:
    with SimulatorServer(SLOW, log=tmp_path_factory.mktemp("simulator") / "log") as server:
        yield server


REQUESTS = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
    "whole chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    "completion": ("/v1/completions", {"prompt": "The river", "stream": True}),
    "two prompts": ("/v1/completions", {"prompt": ["The river", "The sea is"]}),
    "message": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 300, "stream": True}),
    "response": ("/v1/responses", {"input": "Tell me", "stream": True}),
    "whole response": ("/v1/responses", {"input": "Tell me"}),
}


@pytest.mark.parametrize(
    ("name", "events"),
    [(name, 0) for name in REQUESTS] + [(name, 9) for name, (_, body) in REQUESTS.items() if body.get("stream")],
)
async def test_the_gateway_counts_as_the_engine_does(simulator_server: SimulatorServer, name: str, events: int):
    path, body = REQUESTS[name]
    before = await counted_by(simulator_server)
    async with opened({"anonymous": True}) as accounts, counting_gateway([simulator_server.url], accounts) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
            await asyncio.gather(
                *(leave_after(client, path, {"model": "demo", **body}, events=events) for _ in range(3))
            )
        pool = gateway.app.pools["demo"]
        await eventually(lambda: not pool.lent)
        assert gateway.tokens() == await counted_by(simulator_server) - before
        if events:
            assert gateway.tokens().completion > 0


async def test_a_stream_that_nobody_asked_for_usage_ends_as_it_would_without(simulator_server: SimulatorServer):
    body = {"model": "demo", "messages": MESSAGES, "stream": True, "max_tokens": 5, "seed": 1}
    async with (
        opened({"anonymous": True}) as accounts,
        counting_gateway([simulator_server.url], accounts) as gateway,
        httpx.AsyncClient(timeout=60) as client,
    ):
        plain = await client.post(f"{simulator_server.url}/v1/chat/completions", json=body)
        relayed = await client.post(f"{gateway.url}/v1/chat/completions", json=body)
        asked = await client.post(
            f"{gateway.url}/v1/chat/completions", json={**body, "stream_options": {"include_usage": True}}
        )
        assert gateway.tokens().completion == 10
    assert b'"usage"' not in relayed.content
    assert relayed.content.count(b"data: ") == plain.content.count(b"data: ")
    usage = orjson.loads(asked.content.rstrip().removesuffix(b"data: [DONE]").rstrip().rpartition(b"data: ")[2])
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 5


async def test_an_engine_that_cannot_be_told_is_cut_off_and_guessed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("penstock.gateway.settling.PATIENCE", 0.3)
    event = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'

    async def behave(engine: Any, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = answers if seen.target == aborting.PATH else streams(10_000, gap=0.01, chunk=event)
        await turn(engine, seen, reader, writer)

    async with opened({"anonymous": True}) as accounts, running_gateway(behave, accounts=accounts) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat(stream=True)))
            await client.head()
            await client.reader.readuntil(b"\n\n")
        await eventually(lambda: gateway.engine.in_progress == 0)
        await eventually(lambda: not gateway.app.pools["demo"].lent)
        told = [seen for seen in gateway.engine.seen if seen.target == aborting.PATH]
        assert told, "it was told first"
        assert told[0].headers["x-request-id"] == gateway.engine.seen[0].headers["x-request-id"]
        assert told[0].headers["authorization"] == "Bearer engine-token"
        assert b'kind="completion",model="demo"} ' in gateway.app.metrics.text()


async def test_requests_of_one_id_have_several_at_the_engine():
    async with opened({"anonymous": True}) as accounts, running_gateway(accounts=accounts) as gateway:
        async with connected(gateway) as client:
            for _ in range(2):
                answer = await client.ask(post(chat(), headers=[("x-request-id", "mine")]))
                assert answer.headers["x-request-id"] == "mine"
        first, second = (seen.headers["x-request-id"] for seen in gateway.engine.seen)
    assert first != second
    assert first.startswith("mine-")
    assert second.startswith("mine-")


async def test_without_accounts_engines_get_what_clients_send():
    body = chat(stream=True)
    async with running_gateway(streams(2)) as gateway, connected(gateway) as client:
        await client.ask(post(body, headers=[("x-request-id", "mine")]))
        seen = gateway.engine.seen[0]
    assert seen.body == body
    assert seen.headers["x-request-id"] == "mine"
