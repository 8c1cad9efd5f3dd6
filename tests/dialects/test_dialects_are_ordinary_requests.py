"""What holds for every request holds for those of dialects: keys, limits, holding, retries, usage, other origins."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from penstock.accounts.limits.opening import OpenLimits
from penstock.config.limits import LimitSettings
from support.gateways import (
    Response,
    answers,
    ask,
    chat,
    connected,
    dies,
    eventually,
    get,
    head,
    post,
    refuses,
    running_gateway,
    says,
    stalls,
    streams,
)
from support.keys import listed, opened

pytestmark = pytest.mark.integration

KEY = "psk_" + "0" * 43
AZURE, SERVERLESS, OLLAMA = "/openai/deployments/demo/chat/completions", "/api/v1/ai/chat/completions", "/api/chat"
ALL = pytest.mark.parametrize("path", [AZURE, SERVERLESS, OLLAMA])
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


def said(path: str, response: Response) -> str:
    """The message of an error in the dialect's shape."""
    document: Any = response.json()
    if path == OLLAMA:
        assert list(document) == ["error"]
        return str(document["error"])
    if path == SERVERLESS:
        assert document["code"] == response.status
        assert document["msg"] == document["error"]["message"]
    return str(document["error"]["message"])


@ALL
async def test_a_key_is_asked_for_before_a_body_is_read(path: str) -> None:
    async with opened({}, {"app": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat(), path, [("content-length", "5000")]))
            refused = await client.response()
        allowed = await ask(gateway, post(chat(stream=False), path, [("api-key", KEY)]))
        inside = gateway.engine.seen[0].headers
    assert refused.status == 401
    assert "No key was sent" in said(path, refused)
    assert allowed.status == 200
    assert KEY not in str(inside)


@ALL
async def test_a_limit_is_kept_and_told(path: str) -> None:
    limits = OpenLimits(LimitSettings.model_validate({"models": {"demo": {"requestsPerMinute": 1}}}))
    await limits.start(None)
    async with running_gateway(limits=limits) as gateway:
        first = await ask(gateway, post(chat(stream=False), path))
        second = await ask(gateway, post(chat(stream=False), path))
    await limits.close()
    assert first.status == 200
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert second.status == 429
    assert "retry-after" in second.headers
    assert "A limit is reached" in said(path, second)


@ALL
async def test_a_request_waits_for_a_replica_and_leaves_with_its_client(path: str) -> None:
    async with running_gateway() as gateway:
        gateway.source.there.clear()
        async with connected(gateway) as client:
            await client.send(post(chat(stream=False), path))
            await eventually(lambda: gateway.app.pools["demo"].held == 1)
        await eventually(lambda: gateway.app.pools["demo"].held == 0)
        async with connected(gateway) as client:
            await client.send(post(chat(stream=False), path))
            await eventually(lambda: gateway.app.pools["demo"].held == 1)
            gateway.source.there.set()
            assert (await client.response()).status == 200


@ALL
async def test_another_replica_is_tried(path: str) -> None:
    async with running_gateway(dies, answers) as gateway:
        tried = await ask(gateway, post(chat(stream=False), path))
        again = await ask(gateway, post(chat(stream=False), path))
        assert sum(len(engine.seen) for engine in gateway.engines) == 3
    assert (tried.status, again.status) == (200, 200)


@ALL
async def test_an_engine_that_says_no_in_no_form_is_translated_too(path: str) -> None:
    async with running_gateway(refuses(503, b"Service Unavailable", "text/plain")) as gateway:
        refused = await ask(gateway, post(chat(stream=False), path))
    assert refused.status == 503
    assert "The engine answered 503: Service Unavailable" in said(path, refused)


@ALL
async def test_a_client_that_leaves_frees_the_engine(path: str) -> None:
    async with running_gateway(stalls) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat(stream=True), path))
            await eventually(lambda: gateway.engine.in_progress == 1)
        await eventually(lambda: gateway.engine.in_progress == 0)


@pytest.mark.parametrize("path", [SERVERLESS, OLLAMA])
async def test_a_stream_is_translated_as_it_comes_and_its_break_is_told(path: str) -> None:
    last = asyncio.Event()
    async with running_gateway(streams(2, chunk=CHUNK, wait=last, die=True)) as gateway, connected(gateway) as client:
        await client.send(post(chat(stream=True), path))
        response = await client.head()
        assert response.status == 200
        first = await asyncio.wait_for(client.reader.readuntil(b'"a"'), 60)
        assert b"usage" not in first or path == SERVERLESS
        last.set()
        rest = await asyncio.wait_for(client.reader.read(), 60)
    assert b"broke off in the middle" in rest
    assert b"\r\n0\r\n" not in rest, "it is cut, so that every client sees that it is not whole"


@pytest.mark.parametrize("path", [SERVERLESS, OLLAMA])
async def test_a_whole_answer_that_breaks_off_is_an_error(path: str) -> None:
    cut = head(200, [("content-type", "application/json"), ("content-length", "500")]) + b'{"choices":'

    async def breaks(engine: Any, seen: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(cut)
        await writer.drain()
        writer.close()

    async with running_gateway(breaks) as gateway:
        broken = await ask(gateway, post(chat(stream=False), path))
    assert broken.status == 502
    assert "broke off" in said(path, broken)


@ALL
async def test_a_page_of_another_origin_may_call_where_the_document_allows_it(path: str) -> None:
    settings = {"cors": {"allowOrigins": ["https://app.example.com"]}}
    wish = [("origin", "https://app.example.com"), ("access-control-request-method", "POST")]
    async with running_gateway(settings=settings) as gateway:
        preflight = await ask(gateway, get(path, "OPTIONS", wish))
        answer = await ask(gateway, post(chat(stream=False), path, wish[:1]))
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"


@ALL
async def test_bounds_of_bodies_hold(path: str) -> None:
    async with running_gateway(settings={"maxBodyBytes": 500, "maxJsonDepth": 3}) as gateway:
        large = await ask(gateway, post(chat(padding="x" * 500), path))
        deep = await ask(gateway, post(b'{"a":[[[[1]]]]}', path))
        encoded = await ask(gateway, post(chat(), path, [("content-encoding", "gzip")]))
    assert (large.status, deep.status, encoded.status) == (413, 400, 415)
    assert "gateway.maxJsonDepth" in said(path, deep)


@ALL
async def test_http_that_is_wrong_gets_the_dialects_error(path: str) -> None:
    async with running_gateway() as gateway:
        wrong = await ask(gateway, get(path, headers=[("host", "another")]).replace(b"host: another\r\n", b""))
    assert wrong.status == 400
    assert "host" in said(path, wrong)


async def test_the_engine_sees_openais_api() -> None:
    async with running_gateway() as gateway:
        for path in (f"{AZURE}?api-version=2024-10-21&x=1", SERVERLESS, OLLAMA):
            await ask(gateway, post(chat(stream=False), path))
        targets = [seen.target for seen in gateway.engine.seen]
    assert targets == ["/v1/chat/completions?x=1", "/v1/chat/completions", "/v1/chat/completions"]


async def test_requests_of_dialects_are_counted_like_others() -> None:
    async with running_gateway() as gateway:
        for path in (AZURE, SERVERLESS, OLLAMA):
            await ask(gateway, post(chat(stream=False), path))
        shown = gateway.app.metrics.text().decode()
    assert 'penstock_gateway_requests_total{endpoint="/v1/chat/completions",model="demo",status="200"} 3.0' in shown
    assert 'penstock_gateway_tokens_total{kind="completion",model="demo"} 15.0' in shown


async def test_an_answer_that_is_no_json_object_passes_as_it_is() -> None:
    raw = says(head(200, [("content-type", "text/plain"), ("content-length", "2")]) + b"ok")
    async with running_gateway(raw) as gateway:
        answer = await ask(gateway, post(chat(stream=False), SERVERLESS))
    assert (answer.status, answer.body) == (200, b"ok")


async def test_a_page_of_ollamas_models_needs_a_key_where_keys_are_asked_for() -> None:
    async with opened({}, {"app": listed(KEY)}) as accounts, running_gateway(accounts=accounts) as gateway:
        refused = await ask(gateway, get("/api/tags"))
        listing = await ask(gateway, get("/api/tags", headers=[("authorization", f"Bearer {KEY}")]))
        shown = await ask(gateway, post(orjson.dumps({"model": "demo"}), "/api/show", [("x-api-key", KEY)]))
    assert (refused.status, listing.status, shown.status) == (401, 200, 200)
