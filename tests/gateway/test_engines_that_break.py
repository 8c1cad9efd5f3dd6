"""An engine that refuses, dies or talks nonsense: another is tried before the first byte, an error is said after it."""

from __future__ import annotations

import asyncio

import anthropic
import openai
import orjson
import pytest

from support.gateways import (
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

pytestmark = pytest.mark.integration


async def test_a_replica_that_dies_before_its_first_byte_is_replaced_by_another():
    async with running_gateway(dies, answers) as gateway:
        for _ in range(4):
            assert (await ask(gateway, post(chat()))).status == 200
        assert len(gateway.engines[0].seen) <= 1, "a replica that broke is left alone for a while"


async def test_a_replica_that_dies_after_its_head_and_before_its_body_is_replaced_by_another():
    async with running_gateway(streams(0, die=True), answers) as gateway:
        for _ in range(2):
            assert (await ask(gateway, post(chat()))).status == 200


async def test_a_replica_that_refuses_the_connection_is_replaced_by_another():
    async with running_gateway(answers, answers) as gateway:
        await gateway.engines[0].stop()
        for _ in range(3):
            assert (await ask(gateway, post(chat()))).status == 200
        await gateway.engines[0].start()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        head(200, [(f"x-{number}", "a" * 500) for number in range(200)]),
        head(200, [(f"x-{number}", "a") for number in range(1000)]),
        b"HTTP/1.1 200 OK\r\nx-endless: " + b"a" * 200_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["another protocol", "a huge head", "many header lines", "an endless line", "a bad chunk"],
)
async def test_a_replica_that_talks_nonsense_is_replaced_by_another(nonsense):
    async with running_gateway(says(nonsense), answers) as gateway:
        for _ in range(2):
            assert (await ask(gateway, post(chat()))).status == 200


async def test_too_many_broken_replicas_are_a_bad_gateway():
    async with running_gateway(*[says(b"SSH-2.0-OpenSSH_9.2\r\n")] * 4) as gateway:
        response = await ask(gateway, post(chat()))
    assert response.status == 502
    assert response.error["code"] == "engine_unreachable"
    assert response.headers["x-penstock-layer"] == "engine"
    assert sum(len(engine.seen) for engine in gateway.engines) == 3


async def test_a_request_that_engines_die_of_reaches_two_of_them_and_is_named_in_the_log(caplog):
    async with running_gateway(*[dies] * 5, settings={"attempts": 5}) as gateway:
        response = await ask(gateway, post(chat(), headers=[("x-request-id", "poison")]))
        hit = [engine for engine in gateway.engines if engine.seen]
        metrics = (await ask(gateway, get("/metrics"))).body.decode()
    assert [len(engine.seen) for engine in hit] == [1, 1]
    assert (response.status, response.error["code"]) == (502, "engine_crashed_repeatedly")
    assert "may crash engines" in response.error["message"]
    assert response.headers["x-should-retry"] == "false", "clients that try again would break the next two engines"
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    fields = dict(record.fields)
    assert sorted(fields.pop("replicas")) == sorted(engine.replica.id for engine in hit)
    assert fields == {"request_id": "poison", "model": "demo", "endpoint": "/v1/chat/completions"}
    assert 'relay_errors_total{layer="engine",reason="engine_crashed_repeatedly"} 1.0' in metrics


async def test_the_openai_sdk_does_not_send_a_request_again_that_engines_die_of():
    async with running_gateway(*[dies] * 5) as gateway:

        def ask_once() -> None:
            question = [{"role": "user", "content": "x"}]
            with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=2) as client:
                client.chat.completions.create(model="demo", messages=question)

        with pytest.raises(openai.InternalServerError, match="may crash engines"):
            await asyncio.to_thread(ask_once)
        assert sum(len(engine.seen) for engine in gateway.engines) == 2


DEAD = (
    b'{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.",'
    b'"type":"InternalServerError","param":null,"code":500}}'
)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_whose_server_says_that_its_core_is_dead_is_replaced_by_another(stream):
    lines = [("content-type", "text/event-stream"), ("connection", "close")]
    events = b"data: " + DEAD.replace(b":", b": ") + b"\n\ndata: [DONE]\n\n"
    says_so = says(head(200, [*lines, ("content-length", str(len(events)))]) + events) if stream else refuses(500, DEAD)
    async with running_gateway(says_so, answers) as gateway:
        for _ in range(2):
            response = await ask(gateway, post(chat(stream=stream)))
            assert (response.status, response.json()["object"]) == (200, "chat.completion")
        assert len(gateway.engines[0].seen) <= 1


@pytest.mark.parametrize("body", [b'{"error":{"message":"CUDA error"}}', b'{"error":{"message":"\\"EngineCore enc"}}'])
async def test_another_error_of_an_engine_is_the_clients_and_never_tried_again(body):
    async with running_gateway(refuses(500, body), refuses(500, body)) as gateway:
        assert (await ask(gateway, post(chat()))).body == body
        assert sum(len(engine.seen) for engine in gateway.engines) == 1


async def test_replicas_that_refuse_the_connection_are_tried_as_often_as_may_be():
    async with running_gateway(*[answers] * 4, settings={"attempts": 4}) as gateway:
        for engine in gateway.engines[:3]:
            await engine.stop()
        assert (await ask(gateway, post(chat()))).status == 200
        for engine in gateway.engines[:3]:
            await engine.start()


async def test_an_engine_that_dies_with_a_request_on_a_kept_connection_has_seen_it():
    async with running_gateway(answers, answers, dies, settings={"leases": {"keep": 0.01}}) as gateway:
        # All three connections are kept, and then each engine goes with the next request in its hands.
        gateway.engines[2].behaviour = answers
        for _ in range(3):
            assert (await ask(gateway, post(chat()))).status == 200
            await eventually(lambda: gateway.app.pools["demo"].idle == 0)
        assert [len(engine.seen) for engine in gateway.engines] == [1, 1, 1]

        async def goes(engine, seen, reader, writer):
            engine._server.close()
            writer.transport.abort()

        for engine in gateway.engines:
            engine.behaviour = goes
        response = await ask(gateway, post(chat()))
        assert response.error["code"] == "engine_crashed_repeatedly"
        assert sorted(len(engine.seen) for engine in gateway.engines) == [1, 2, 2]


async def test_after_the_first_byte_a_stream_ends_with_an_error_and_is_never_tried_again():
    async with running_gateway(streams(2, die=True), streams(2, die=True)) as gateway:
        response = await ask(gateway, post(chat(stream=True)))
        assert sum(len(engine.seen) for engine in gateway.engines) == 1
    assert response.status == 200
    assert not response.whole, "a client that does not read events sees the cut too"
    events = response.body.decode().strip().split("\n\n")
    assert events[:2] == ['data: {"n":0}', 'data: {"n":1}']
    error = orjson.loads(events[2].removeprefix("data: "))["error"]
    assert error["code"] == "engine_stream_interrupted"


async def test_an_event_that_was_cut_in_the_middle_is_ended_before_the_error():
    async with running_gateway(streams(1, die=True, chunk=b'data: {"n"')) as gateway:
        response = await ask(gateway, post(chat(stream=True)))
    assert response.body.startswith(b'data: {"n"\n\ndata: {"error":')


async def test_an_answer_that_is_no_stream_is_cut():
    body = head(200, [("content-type", "application/json"), ("content-length", "100")]) + b'{"half":'

    async def behave(engine, seen, reader, writer):
        writer.write(body)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with running_gateway(behave) as gateway:
        response = await ask(gateway, post(chat()))
    assert response.body == b"" or response.body == b'{"half":'
    assert not response.whole


async def test_the_openai_sdk_raises_on_an_interrupted_stream():
    async with running_gateway(streams(2, die=True, chunk=_openai_chunk())) as gateway:
        url = f"{gateway.url}/v1"

        # The SDK's asynchronous client leaves its generators to the garbage collector; the other one does not.
        def read_all() -> None:
            question = [{"role": "user", "content": "x"}]
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                for _ in client.chat.completions.create(model="demo", messages=question, stream=True):
                    pass

        with pytest.raises(openai.APIError, match="broke off"):
            await asyncio.to_thread(read_all)


async def test_the_anthropic_sdk_raises_on_an_interrupted_stream_and_reads_its_errors():
    event = b'event: ping\ndata: {"type": "ping"}\n\n'
    async with running_gateway(streams(2, die=True, chunk=event)) as gateway:
        question = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        client = anthropic.Anthropic(base_url=gateway.url, api_key="k", max_retries=0)

        def read_all() -> None:
            for _ in client.messages.create(model="demo", stream=True, **question):
                pass

        with client:
            with pytest.raises(anthropic.APIStatusError, match="broke off"):
                await asyncio.to_thread(read_all)
            with pytest.raises(anthropic.NotFoundError, match="Did you mean 'demo'"):
                await asyncio.to_thread(client.messages.create, model="demi", **question)


async def test_an_engine_that_refuses_our_token_is_not_the_clients_fault():
    async with running_gateway(refuses(401, b'{"error":"Unauthorized"}')) as gateway:
        response = await ask(gateway, post(chat()))
    assert (response.status, response.error["code"]) == (502, "engine_token_refused")


async def test_the_engines_own_errors_pass():
    said = b'{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}'
    async with running_gateway(refuses(400, said)) as gateway:
        response = await ask(gateway, post(chat()))
    assert (response.status, response.body) == (400, said)
    assert response.headers["x-penstock-layer"] == "engine"
    assert response.headers["content-length"] == str(len(said))


@pytest.mark.parametrize(
    ("status", "said"), [(404, b'{"detail":"Not Found"}'), (500, b"Internal Server Error"), (503, b"\xff"), (422, b"")]
)
async def test_an_engines_error_in_another_form_becomes_an_error_object(status, said):
    async with running_gateway(refuses(status, said, "text/plain")) as gateway:
        response = await ask(gateway, post(chat()))
    assert response.status == status
    assert response.error["message"].startswith(f"The engine answered {status}")
    assert response.headers["content-type"] == "application/json"


async def test_an_engine_that_takes_too_long_is_a_gateway_timeout():
    async with running_gateway(stalls, settings={"longestRequest": 0.2}) as gateway:
        response = await ask(gateway, post(chat()))
        await eventually(lambda: gateway.engine.in_progress == 0)
    assert (response.status, response.error["code"]) == (504, "engine_timeout")


async def test_a_stream_that_takes_too_long_ends_with_an_error():
    never = asyncio.Event()
    async with running_gateway(streams(2, wait=never), settings={"longestRequest": 0.3}) as gateway:
        response = await ask(gateway, post(chat(stream=True)))
        await eventually(lambda: gateway.engine.in_progress == 0)
    assert b'"code":"engine_timeout"' in response.body
    assert not response.whole


async def test_a_slow_client_slows_the_engine_and_not_our_memory():
    chunk = b"data: " + b"x" * 65536 + b"\n\n"
    async with running_gateway(streams(4000, chunk=chunk)) as gateway:
        async with connected(gateway) as client:
            await client.send(post(chat(stream=True)))
            await client.head()
            connection = next(iter(gateway.listener._connections))
            await eventually(lambda: connection._room is not None)
            assert connection._transport.get_write_buffer_size() < 2**20
        await eventually(lambda: gateway.engine.in_progress == 0)


def _openai_chunk() -> bytes:
    delta = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    document = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "demo", "choices": [delta]}
    return b"data: " + orjson.dumps(document) + b"\n\n"
