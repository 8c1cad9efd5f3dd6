"""Readiness, models that come and go, draining, stopping."""

from __future__ import annotations

import asyncio

import pytest

from penstock import config
from penstock.errors import MachineError
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from penstock.gateway.listener import Listener
from penstock.gateway.sockets import bind
from support.gateways import (
    answers,
    ask,
    chat,
    connected,
    eventually,
    get,
    post,
    running_gateway,
    stalls,
    streams,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/version", "/v1/models", "/v1/models/demo"])
async def test_what_the_gateway_says_of_itself(path):
    async with running_gateway() as gateway:
        response = await ask(gateway, get(path))
        assert response.status == 200
        assert response.body
        without = await ask(gateway, get(path, method="HEAD"))
        assert (without.status, without.headers["content-type"]) == (200, response.headers["content-type"])
        assert without.headers["content-length"]
        options = await ask(gateway, get(path, method="OPTIONS"))
        assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_models_are_listed_with_their_state():
    state = ModelState(replicas_ready=1, max_model_len=512)
    async with running_gateway(models=[ModelEntry("org/demo", ("d",), 5, state)]) as gateway:
        listing = (await ask(gateway, get("/v1/models"))).json()
        card = (await ask(gateway, get("/v1/models/org/demo"))).json()
        missing = await ask(gateway, get("/v1/models/org/dem"))
    assert [model["id"] for model in listing["data"]] == ["org/demo", "d"]
    assert (card["max_model_len"], card["ready"], card["created"]) == (512, True, 5)
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


async def test_a_model_that_does_not_offer_a_path_says_what_it_offers():
    state = ModelState(replicas_ready=1, endpoints=frozenset({"/v1/embeddings"}))
    async with running_gateway(models=[ModelEntry("demo", state=state)]) as gateway:
        response = await ask(gateway, post(chat()))
        assert (response.status, response.error["code"]) == (400, "endpoint_not_supported")
        assert "It offers /v1/embeddings." in response.error["message"]
        assert (await ask(gateway, post(chat(), path="/v1/embeddings"))).status == 200


async def test_pages_of_an_allowed_origin_may_call():
    page = [("origin", "https://app.example.com")]
    asks = [*page, ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")]
    async with running_gateway(settings={"cors": {"allowOrigins": ["https://app.example.com"]}}) as gateway:
        preflight = await ask(gateway, get("/v1/chat/completions", method="OPTIONS", headers=asks))
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
        for request in (post(chat(), headers=page), post(b"", headers=page), get("/nowhere", headers=page)):
            response = await ask(gateway, request)
            assert response.headers["access-control-allow-origin"] == "https://app.example.com"
        other = [("origin", "https://bad.example.com"), ("access-control-request-method", "POST")]
        refused = await ask(gateway, get("/v1/chat/completions", method="OPTIONS", headers=other))
        assert (refused.status, refused.error["code"]) == (403, "origin_not_allowed")


async def test_models_come_and_go_while_others_are_served():
    last = asyncio.Event()
    async with running_gateway(streams(2, wait=last)) as gateway, connected(gateway) as client:
        await client.send(post(chat(stream=True)))
        await client.head()
        gateway.app.reconfigure(Catalog([ModelEntry("demo", ("default",)), ModelEntry("new")]))
        gateway.engine.behaviour = answers
        assert (await ask(gateway, post(chat("new")))).status == 200
        gateway.app.reconfigure(Catalog([ModelEntry("new")]))
        assert (await ask(gateway, post(chat("demo")))).status == 404
        last.set()
        assert b"0\r\n\r\n" in await client.reader.readuntil(b"0\r\n\r\n"), "the stream of a removed model goes on"


async def test_a_draining_gateway_says_so_and_closes_its_connections():
    async with running_gateway() as gateway, connected(gateway) as idle, connected(gateway) as busy:
        assert (await idle.ask(get("/readyz"))).status == 200
        gateway.engine.behaviour = streams(2, gap=0.05)
        await busy.send(post(chat()))
        await eventually(lambda: gateway.engine.in_progress == 1)
        gateway.app.drain()
        gateway.listener.drain()
        assert await idle.is_closed()
        response = await busy.response()
        assert (response.status, response.whole) == (200, True)
        assert await busy.is_closed()
        ready = await ask(gateway, get("/readyz"))
        assert (ready.status, ready.headers["connection"]) == (503, "close")
        assert (await ask(gateway, get("/healthz"))).status == 200
        assert (await ask(gateway, post(chat()))).headers["connection"] == "close"


async def test_stopping_waits_for_streams_and_takes_no_new_connections():
    last = asyncio.Event()
    async with running_gateway(streams(2, wait=last)) as gateway, connected(gateway) as client:
        await client.send(post(chat(stream=True)))
        await eventually(lambda: gateway.engine.in_progress == 1)
        stopping = asyncio.create_task(gateway.listener.stop(10))
        await eventually(lambda: not gateway.listener.serving)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", gateway.port)
        last.set()
        response = await client.response()
        assert response.whole
        assert b"[DONE]" in response.body
        await asyncio.wait_for(stopping, 60)


async def test_past_the_grace_a_stream_is_told_and_cut():
    never = asyncio.Event()
    async with running_gateway(streams(2, wait=never)) as gateway, connected(gateway) as client:
        await client.send(post(chat(stream=True)))
        await eventually(lambda: gateway.engine.in_progress == 1)
        stopping = asyncio.create_task(gateway.listener.stop(0.1))
        response = await client.response()
        await asyncio.wait_for(stopping, 60)
        assert b'"code":"shutting_down"' in response.body
        assert not response.whole
        await eventually(lambda: gateway.engine.in_progress == 0)
        assert gateway.listener.connections == 0


async def test_past_the_grace_a_request_without_an_answer_gets_one():
    async with running_gateway(stalls) as gateway, connected(gateway) as client:
        await client.send(post(chat()))
        await eventually(lambda: gateway.engine.in_progress == 1)
        stopping = asyncio.create_task(gateway.listener.stop(0.1))
        response = await client.response()
        assert (response.status, response.error["code"]) == (503, "shutting_down")
        assert response.headers["retry-after"] == "1"
        await asyncio.wait_for(stopping, 60)


async def test_requests_wait_for_a_replica_and_are_refused_beyond_the_bounds():
    async with running_gateway(settings={"hold": {"seconds": 5, "requests": 1}}) as gateway:
        gateway.source._in_use.clear()
        held = asyncio.create_task(ask(gateway, post(chat())))
        await eventually(lambda: gateway.app.pools["demo"].waiting == 1)
        await asyncio.sleep(0)
        refused = await ask(gateway, post(chat()))
        assert (refused.status, refused.error["code"]) == (429, "queue_full")
        assert (refused.headers["x-penstock-layer"], refused.headers["retry-after"]) == ("pool", "5")
        response = await held
        assert (response.status, response.error["code"]) == (503, "no_replica")


async def test_a_port_in_use_is_an_error_that_says_so():
    async with running_gateway() as gateway:
        with pytest.raises(MachineError, match="in use"):
            await Listener(gateway.app, config.Gateway(), port=gateway.port).start()


def test_an_address_of_another_machine_is_an_error_that_says_so():
    with pytest.raises(MachineError, match=r"203\.0\.113\.1"):
        bind("203.0.113.1", 0)
    with pytest.raises(MachineError, match="no address of this machine"):
        bind("no such host", 0)


def test_processes_share_a_port_where_both_want_to():
    with bind("127.0.0.1", 0, shared=True) as first:
        first.listen()
        bind("127.0.0.1", first.getsockname()[1], shared=True).close()
