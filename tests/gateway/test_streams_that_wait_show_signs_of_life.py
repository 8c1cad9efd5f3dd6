"""`gateway.hold.heartbeat`: comments while a stream waits, how long it waited, and errors that come after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import orjson
import pytest

from penstock.gateway.catalog import ModelEntry, ModelState
from support.gateways import (
    Behaviour,
    Client,
    Gateway,
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

pytestmark = pytest.mark.integration

ASLEEP = ModelEntry("demo", state=ModelState(known=True))
WAITING = b": waiting for a replica\n\n"


@pytest.fixture(autouse=True)
def _every_wait_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("call", "relay"):
        monkeypatch.setattr(f"penstock.gateway.{module}.MOMENT", 0.0)


@asynccontextmanager
async def sleeping_model(*behaviours: Behaviour, **hold: Any) -> AsyncIterator[Gateway]:
    settings = {"hold": {"heartbeat": 0.02, **hold}, "leases": {"keep": 0.1}}
    async with running_gateway(*behaviours, settings=settings, models=[ASLEEP]) as gateway:
        gateway.source.there.clear()
        yield gateway


async def first_comments(client: Client, request: bytes) -> None:
    """Ask, and read the head and two comments."""
    await client.send(request)
    head = await client.head()
    assert head.status == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert head.headers["x-request-id"]
    assert "x-penstock-held-ms" not in head.headers
    for _ in range(2):
        assert await chunk(client) == WAITING


async def chunk(client: Client) -> bytes:
    size = int(await asyncio.wait_for(client.reader.readuntil(b"\r\n"), 60), 16)
    return (await client.reader.readexactly(size + 2))[:-2]


async def rest(client: Client) -> tuple[bytes, bool]:
    """What comes after the comments of those who wait, and whether it is whole."""
    found = b""
    try:
        while data := await chunk(client):
            found += data
    except asyncio.IncompleteReadError:
        return found.replace(WAITING, b""), False
    return found.replace(WAITING, b""), True


async def test_a_stream_that_waits_gets_comments_and_then_the_engines_bytes():
    async with sleeping_model(streams(2)) as gateway, connected(gateway) as client:
        await first_comments(client, post(chat(stream=True)))
        gateway.source.there.set()
        found, whole = await rest(client)
    held, _, answer = found.partition(b"\n\n")
    name, _, milliseconds = held.partition(b": ")[2].partition(b": ")
    assert name == b"x-penstock-held-ms"
    assert int(milliseconds) >= 40
    assert (answer, whole) == (b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: [DONE]\n\n', True)


async def test_comments_go_on_until_the_engine_says_something():
    first = asyncio.Event()
    async with sleeping_model(streams(1, wait=first)) as gateway, connected(gateway) as client:
        await first_comments(client, post(chat(stream=True)))
        gateway.source.there.set()
        while await chunk(client) == WAITING:
            pass
        assert await chunk(client) == b": waiting for the first token\n\n"
        first.set()
        assert (await rest(client))[1]


async def test_another_replica_is_tried_after_comments():
    async with sleeping_model(dies, streams(1)) as gateway, connected(gateway) as client:
        await first_comments(client, post(chat(stream=True)))
        gateway.source.there.set()
        found, whole = await rest(client)
        assert [len(engine.seen) for engine in gateway.engines] == [1, 1]
    assert found.endswith(b'data: {"n":0}\n\ndata: [DONE]\n\n')
    assert whole


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_an_engines_error_after_comments_is_an_event_in_the_paths_dialect(path):
    said = b'{\n"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}'
    async with sleeping_model(refuses(400, said)) as gateway, connected(gateway) as client:
        await first_comments(client, post(chat(stream=True), path))
        gateway.source.there.set()
        found, whole = await rest(client)
    name, _, data = found.partition(b"\n\n")[2].partition(b"data: ")
    assert name == (b"event: error\n" if path == "/v1/messages" else b"")
    assert orjson.loads(data)["error"]["message"] == "too long"
    assert not whole, "a client that does not read events sees the cut"


async def test_a_refusal_after_comments_is_an_event_and_counted_by_its_status(caplog):
    caplog.set_level("INFO", logger="penstock.gateway.access")
    async with sleeping_model(seconds=0.3) as gateway:
        async with connected(gateway) as client:
            await first_comments(client, post(chat(stream=True)))
            found, whole = await rest(client)
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
    assert b'"code":"no_replica"' in found
    assert not whole
    assert 'requests_total{endpoint="/v1/chat/completions",model="demo",status="503"} 1.0' in metrics
    assert 'held_seconds_count{model="demo",outcome="refused"} 1.0' in metrics
    fields = next(record.fields for record in caplog.records if record.name == "penstock.gateway.access")
    assert (fields["status"], fields["code"]) == (503, "no_replica")
    assert fields["held_ms"] >= 300


async def test_something_else_than_a_stream_after_comments_is_an_error():
    async with sleeping_model(answers) as gateway, connected(gateway) as client:
        await first_comments(client, post(chat(stream=True)))
        gateway.source.there.set()
        assert b'"code":"engine_failed"' in (await rest(client))[0]


async def test_a_client_that_leaves_after_comments_is_out_of_the_queue():
    async with sleeping_model() as gateway:
        async with connected(gateway) as client:
            await first_comments(client, post(chat(stream=True)))
        await eventually(lambda: gateway.app.pools["demo"].waiting == 0)
        await eventually(lambda: b'status="499"' in gateway.app.metrics.text())
        assert b'held_seconds_count{model="demo",outcome="left"} 1.0' in gateway.app.metrics.text()


@pytest.mark.parametrize(
    "request_bytes", [post(chat()), post(chat(stream=False)), post(chat(stream=True), "/v1/embeddings")]
)
async def test_who_asked_for_no_stream_gets_none(request_bytes):
    async with sleeping_model(refuses(400, b'{"error":{"message":"no"}}'), seconds=0.2) as gateway:
        response = await ask(gateway, request_bytes)
    assert (response.status, response.error["code"]) == (503, "no_replica")
    assert int(response.headers["x-penstock-held-ms"]) >= 200


async def test_a_stream_that_has_a_replica_gets_no_comments_however_long_it_takes():
    settings = {"hold": {"heartbeat": 0.01}, "longestRequest": 0.2}
    async with running_gateway(stalls, settings=settings) as gateway:
        response = await ask(gateway, post(chat(stream=True)))
    assert (response.status, response.error["code"]) == (504, "engine_timeout")


async def test_without_a_heartbeat_a_stream_waits_for_its_head_and_is_told_how_long():
    async with sleeping_model(streams(1), heartbeat=None) as gateway:
        asking = asyncio.create_task(ask(gateway, post(chat(stream=True))))
        await eventually(lambda: gateway.app.pools["demo"].waiting == 1)
        gateway.source.there.set()
        response = await asking
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
    assert response.body.startswith(b"data:")
    assert int(response.headers["x-penstock-held-ms"]) >= 0
    assert 'held_seconds_count{model="demo",outcome="served"} 1.0' in metrics


async def test_the_openai_sdk_reads_streams_with_comments_and_errors_after_them():
    delta = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    document = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "demo", "choices": [delta]}
    event = b"data: " + orjson.dumps(document) + b"\n\n"
    async with sleeping_model(streams(2, chunk=event)) as gateway:

        def read_all() -> list[str | None]:
            with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client:
                question = [{"role": "user", "content": "x"}]
                answer = client.chat.completions.create(model="demo", messages=question, stream=True)
                return [each.choices[0].delta.content for each in answer]

        assert await served_after_comments(gateway, read_all) == ["a", "a"]
        gateway.source.there.clear()
        await eventually(lambda: gateway.app.pools["demo"].idle == 0)
        gateway.engine.behaviour = refuses(400, b'{"error":{"message":"too long"}}')
        with pytest.raises(openai.APIError, match="too long"):
            await served_after_comments(gateway, read_all)


async def test_the_anthropic_sdk_reads_streams_with_comments_and_errors_after_them():
    event = b'event: ping\ndata: {"type": "ping"}\n\n'
    async with sleeping_model(streams(2, chunk=event)) as gateway:

        def read_all() -> int:
            with anthropic.Anthropic(base_url=gateway.url, api_key="k", max_retries=0) as client:
                question = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
                return sum(1 for _ in client.messages.create(model="demo", stream=True, **question))

        await served_after_comments(gateway, read_all)
        gateway.source.there.clear()
        await eventually(lambda: gateway.app.pools["demo"].idle == 0)
        gateway.engine.behaviour = refuses(400, b'{"error":{"message":"too long"}}')
        with pytest.raises(anthropic.APIStatusError, match="too long"):
            await served_after_comments(gateway, read_all)


async def served_after_comments(gateway: Gateway, read_all: Any) -> Any:
    reading = asyncio.create_task(asyncio.to_thread(read_all))
    await eventually(lambda: any(connection._written > len(WAITING) for connection in gateway.listener._connections))
    assert not reading.done()
    gateway.source.there.set()
    return await reading
