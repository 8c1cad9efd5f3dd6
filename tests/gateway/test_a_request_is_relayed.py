"""Bytes go through the gateway unchanged; header lines that are not for the other side do not."""

from __future__ import annotations

import asyncio

import pytest

from support.gateways import answers, ask, chat, connected, eventually, get, head, post, running_gateway, says, streams

pytestmark = pytest.mark.integration

SECRETS = [("authorization", "Bearer client-key"), ("x-api-key", "client-key"), ("api-key", "k"), ("cookie", "a=b")]


async def test_the_body_and_the_answer_pass_unchanged():
    body = b'{"model" :\t"demo", "odd": 1e5, "text": "\xc3\xa9\\u00e9"}'
    async with running_gateway() as gateway:
        response = await ask(gateway, post(body, headers=[("x-custom", "kept")]))
        seen = gateway.engine.seen[0]
    assert response.status == 200
    assert response.body == b'{"object":"chat.completion","usage":{"prompt_tokens":3,"completion_tokens":5}}'
    assert seen.body == body
    assert seen.target == "/v1/chat/completions"
    assert seen.headers["x-custom"] == "kept"


async def test_the_clients_credentials_never_reach_the_engine():
    async with running_gateway() as gateway:
        await ask(gateway, post(chat(), headers=[*SECRETS, ("proxy-authorization", "x"), ("accept-encoding", "gzip")]))
        headers = gateway.engine.seen[0].headers
    assert headers["authorization"] == "Bearer engine-token"
    assert not {"x-api-key", "api-key", "cookie", "proxy-authorization", "accept-encoding"} & set(headers)
    assert "client-key" not in str(headers)


async def test_lines_for_one_hop_stay_on_their_hop():
    lines = [("connection", "keep-alive, x-mine"), ("x-mine", "1"), ("te", "trailers"), ("keep-alive", "3")]
    reply = says(
        head(
            200,
            [("connection", "x-its"), ("x-its", "1"), ("server", "uvicorn"), ("x-kept", "1"), ("content-length", "2")],
        )
        + b"{}"
    )
    async with running_gateway(reply) as gateway:
        response = await ask(gateway, post(chat(), headers=lines))
        seen = gateway.engine.seen[0].headers
    assert not {"x-mine", "te", "keep-alive", "connection"} & set(seen)
    assert not {"x-its", "server"} & set(response.headers)
    assert response.headers["x-kept"] == "1"
    assert response.headers["content-length"] == "2"


async def test_a_streams_first_event_comes_before_its_last_is_made():
    last = asyncio.Event()
    async with running_gateway(streams(2, wait=last)) as gateway, connected(gateway) as client:
        await client.send(post(chat(stream=True)))
        response = await client.head()
        assert response.headers["content-type"] == "text/event-stream"
        assert await client.reader.readuntil(b"\n\n") == b'f\r\ndata: {"n":0}\n\n'
        last.set()
        rest = await client.reader.readuntil(b"0\r\n\r\n")
        assert b'data: {"n":1}\n\n' in rest
        assert b"data: [DONE]" in rest


async def test_a_connection_serves_many_requests():
    async with running_gateway() as gateway, connected(gateway) as client:
        for _ in range(5):
            assert (await client.ask(post(chat()))).status == 200
        assert gateway.listener.connections == 1
        assert gateway.source.taken == 1, "a finished lease serves the next request"


async def test_the_request_id_is_passed_on_and_returned():
    async with running_gateway() as gateway:
        response = await ask(gateway, post(chat(), headers=[("x-request-id", "abc-123")]))
        assert response.headers["x-request-id"] == "abc-123"
        assert gateway.engine.seen[0].headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("bad", ["", "a" * 129, "a b", "\xe9"])
async def test_a_bad_request_id_is_replaced(bad):
    async with running_gateway() as gateway:
        response = await ask(gateway, get("/nowhere", headers=[("x-request-id", bad)]))
    assert response.status == 404
    assert len(response.headers["x-request-id"]) == 32


async def test_a_query_is_passed_on():
    async with running_gateway() as gateway:
        await ask(gateway, post(chat(), path="/v1/messages?beta=true"))
        assert gateway.engine.seen[0].target == "/v1/messages?beta=true"


async def test_an_audio_file_is_passed_on_unchanged():
    parts = [
        b'--XyZ\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(range(256)) * 500,
        b'--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\ndemo',
        b"--XyZ--\r\n",
    ]
    body = b"\r\n".join(parts)
    kind = [("content-type", "multipart/form-data; boundary=XyZ")]
    async with running_gateway() as gateway:
        response = await ask(gateway, post(body, path="/v1/audio/transcriptions", headers=kind))
        assert response.status == 200
        assert gateway.engine.seen[0].body == body


async def test_an_expected_continue_is_given():
    async with running_gateway() as gateway, connected(gateway) as client:
        request = post(chat(), headers=[("expect", "100-continue")])
        split = request.index(b"\r\n\r\n") + 4
        await client.send(request[:split])
        assert (await client.head()).status == 100
        await client.send(request[split:])
        assert (await client.response()).status == 200
        assert "expect" not in gateway.engine.seen[0].headers


async def test_pipelined_requests_are_answered_in_order():
    async with running_gateway() as gateway, connected(gateway) as client:
        await client.send(
            post(chat(), headers=[("x-request-id", "1")]) + get("/healthz") + post(chat("nope")) + get("/version")
        )
        statuses = [(await client.response()).status for _ in range(4)]
    assert statuses == [200, 200, 404, 200]


async def test_a_wish_for_another_protocol_is_passed_over():
    wish = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")]
    async with running_gateway() as gateway, connected(gateway) as client:
        for _ in range(2):
            assert (await client.ask(post(chat(), headers=wish))).status == 200
        assert gateway.engine.seen[0].body == chat()


async def test_http_1_0_gets_a_body_that_ends_with_the_connection():
    request = post(chat()).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with running_gateway(streams(2)) as gateway, connected(gateway) as client:
        response = await client.ask(request)
        assert "transfer-encoding" not in response.headers
        assert response.body == b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: [DONE]\n\n'


async def test_an_absolute_target_is_understood():
    async with running_gateway() as gateway:
        assert (await ask(gateway, get("http://gateway/healthz"))).status == 200


async def test_tokens_are_counted_and_unknown_models_are_no_labels():
    async with running_gateway() as gateway:
        await ask(gateway, post(chat()))
        await ask(gateway, post(chat("secret-name")))
        text = (await ask(gateway, get("/metrics"))).body.decode()
    assert 'penstock_gateway_tokens_total{kind="prompt",model="demo"} 3.0' in text
    assert 'penstock_gateway_tokens_total{kind="completion",model="demo"} 5.0' in text
    assert 'penstock_gateway_requests_total{endpoint="/v1/chat/completions",model="demo",status="200"} 1.0' in text
    assert "secret-name" not in text
    assert "penstock_gateway_connections" in text


async def test_a_client_that_leaves_ends_the_engines_work():
    never = asyncio.Event()
    async with running_gateway(streams(2, wait=never)) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat(stream=True)))
            await client.head()
            assert gateway.engine.in_progress == 1
        await eventually(lambda: gateway.engine.in_progress == 0)
        await eventually(lambda: gateway.app.pools["demo"].lent == 0)


async def test_a_client_that_leaves_before_the_first_byte_ends_the_engines_work():
    from support.gateways import stalls

    async with running_gateway(stalls) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat()))
            await eventually(lambda: gateway.engine.in_progress == 1)
        await eventually(lambda: gateway.engine.in_progress == 0)
        text = gateway.app.metrics.text().decode()
        assert 'status="499"} 1.0' in text


async def test_an_answer_that_ends_with_its_connection_is_whole():
    async def behave(engine, seen, reader, writer):
        writer.write(head(200, [("content-type", "text/plain")]) + b"all of it")
        await writer.drain()
        writer.close()

    async with running_gateway(behave) as gateway:
        response = await ask(gateway, post(chat()))
    assert (response.body, response.whole) == (b"all of it", True)


async def test_a_kept_connection_that_the_engine_closed_is_no_fault_of_it():
    async def once(engine, seen, reader, writer):
        await answers(engine, seen, reader, writer)
        await writer.drain()
        writer.transport.abort()

    async with running_gateway(once) as gateway:
        for _ in range(5):
            assert (await ask(gateway, post(chat()))).status == 200
