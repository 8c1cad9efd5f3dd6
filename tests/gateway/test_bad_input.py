"""Whatever a client sends, it gets a clear error in OpenAI's form, and the gateway goes on serving."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from support.gateways import (
    Client,
    Gateway,
    Response,
    ask,
    chat,
    connected,
    eventually,
    get,
    post,
    running_gateway,
    streams,
)

pytestmark = pytest.mark.integration

LIMITS = {"headerTimeout": 30, "bodyTimeout": 30, "writeTimeout": 30, "maxBodyBytes": "32Mi", "keepAlive": 60}
IMPATIENT = {**LIMITS, "headerTimeout": 0.4, "bodyTimeout": 0.4, "writeTimeout": 0.5}
"""For clients that fall silent or are too slow. On a busy machine, others might be cut, too."""

DEEP = b'{"model":"demo","messages":' + b"[" * 100 + b"]" * 100 + b"}"
JSON = [("content-type", "application/json")]


@dataclass
class Case:
    """What is sent, and what comes back. `code` is None where only the status counts."""

    sent: bytes
    status: int
    code: str | None = None


CASES = {
    "no body": Case(post(b""), 400, "empty_body"),
    "no body and no length": Case(post(b"", headers=[("content-length", "")]), 400, "empty_body"),
    "not JSON": Case(post(b"model=demo"), 400, "invalid_json"),
    "half of JSON": Case(post(b'{"model":"demo"'), 400, "invalid_json"),
    "NaN": Case(post(b'{"model":"demo","x":NaN}'), 400, "invalid_json"),
    "invalid UTF-8": Case(post(b'{"model":"\xff\xfe"}'), 400, "invalid_json"),
    "a lone surrogate": Case(post(b'{"model":"\\ud800"}'), 400, "invalid_json"),
    "a byte order mark": Case(post(b"\xef\xbb\xbf" + chat()), 400, "invalid_json"),
    "a list for a body": Case(post(b"[1, 2]"), 400, "invalid_json_type"),
    "null for a body": Case(post(b"null"), 400, "invalid_json_type"),
    "no model": Case(post(b"{}"), 400, "missing_model"),
    "a model that is null": Case(post(b'{"model":null}'), 400, "missing_model"),
    "a model that is empty": Case(post(b'{"model":""}'), 400, "missing_model"),
    "a model that is a number": Case(post(b'{"model":5}'), 400, "invalid_type"),
    "a model that is a list": Case(post(b'{"model":["demo"]}'), 400, "invalid_type"),
    "an unknown model": Case(post(chat("demmo")), 404, "model_not_found"),
    "a huge unknown model": Case(post(chat("x" * 1_000_000)), 404, "model_not_found"),
    "a model with NUL": Case(post(chat("de\0mo")), 404, "model_not_found"),
    "100 levels deep": Case(post(DEEP), 400, "json_too_deep"),
    "a million levels deep and never closed": Case(post(b"[" * 1_000_000), 400, "json_too_deep"),
    "a document of too many values": Case(post(b"[" + b"0," * 2**21 + b"0]"), 400, "json_too_large"),
    "40 MB that are announced": Case(post(b" " * 40_000_000), 413, "request_too_large"),
    "40 MB in chunks": Case(
        post(b"", headers=[("content-length", ""), ("transfer-encoding", "chunked")])
        + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 40
        + b"0\r\n\r\n",
        413,
        "request_too_large",
    ),
    "a length beyond all numbers": Case(post(b"", headers=[("content-length", "9" * 30)]), 400, "invalid_http"),
    "a length near all numbers": Case(post(b"", headers=[("content-length", "9" * 18)]), 413, "request_too_large"),
    "a negative length": Case(post(b"", headers=[("content-length", "-5")]), 400, "invalid_http"),
    "a length that is a word": Case(post(b"", headers=[("content-length", "ten")]), 400, "invalid_http"),
    "two lengths": Case(
        post(chat()).replace(b"content-length", b"content-length: 5\r\ncontent-length"), 400, "invalid_http"
    ),
    "a length and chunks": Case(post(chat(), headers=[("transfer-encoding", "chunked")]), 400, "invalid_http"),
    "chunks that are no numbers": Case(
        post(b"zz\r\n", headers=[("content-length", ""), ("transfer-encoding", "chunked")]), 400, "invalid_http"
    ),
    "an encoding of transfer that there is not": Case(
        post(b"", headers=[("content-length", ""), ("transfer-encoding", "gzip")]), 400, "invalid_http"
    ),
    "another content type": Case(post(b"a=b", headers=[("content-type", "text/plain")]), 415, "unsupported_media_type"),
    "a form": Case(
        post(b"a=b", headers=[("content-type", "application/x-www-form-urlencoded")]), 415, "unsupported_media_type"
    ),
    "a compressed body": Case(post(chat(), headers=[("content-encoding", "gzip")]), 415, "unsupported_media_type"),
    "JSON where a form is wanted": Case(post(chat(), path="/v1/audio/transcriptions"), 415, "unsupported_media_type"),
    "a form without a boundary": Case(
        post(b"x", path="/v1/audio/transcriptions", headers=[("content-type", "multipart/form-data")]),
        400,
        "invalid_multipart",
    ),
    "a form that does not end": Case(
        post(
            b"--a\r\n", path="/v1/audio/transcriptions", headers=[("content-type", "multipart/form-data; boundary=a")]
        ),
        400,
        "invalid_multipart",
    ),
    "an unknown path": Case(get("/v1/chat/completion"), 404, "unknown_url"),
    "a path that leaves the tree": Case(get("/v1/../../etc/passwd"), 404, "unknown_url"),
    "a path with an encoded NUL": Case(get("/v1/%00"), 404, "unknown_url"),
    "a path with NUL": Case(get("/v1/\0"), 400, "invalid_http"),
    "a path that is no UTF-8": Case(get("/%ff%fe"), 404, "unknown_url"),
    "a very long path": Case(get("/" + "a" * 20_000), 414, "path_too_long"),
    "an endless path": Case(b"GET /" + b"a" * 300_000, 414, "path_too_long"),
    "the wrong method": Case(get("/v1/chat/completions"), 405, "method_not_allowed"),
    "another wrong method": Case(get("/v1/models", method="DELETE"), 405, "method_not_allowed"),
    "a method that there is not": Case(get("/v1/models", method="FETCH"), 400, "invalid_http"),
    "CONNECT": Case(b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n", 405, "method_not_allowed"),
    "10,000 header lines": Case(
        get("/healthz", headers=[(f"x-{number}", "a") for number in range(10_000)]), 431, "request_head_too_large"
    ),
    "a huge header line": Case(get("/healthz", headers=[("x", "a" * 200_000)]), 431, "request_head_too_large"),
    "an endless header line": Case(get("/healthz")[:-4] + b"\r\nx: " + b"a" * 300_000, 431, "request_head_too_large"),
    "a header line with NUL": Case(get("/healthz", headers=[("x", "a\0b")]), 400, "invalid_http"),
    "a folded header line": Case(b"GET /healthz HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n", 400, "invalid_http"),
    "a blank before the colon": Case(b"GET /healthz HTTP/1.1\r\nhost : a\r\n\r\n", 400, "invalid_http"),
    "no host": Case(b"GET /healthz HTTP/1.1\r\n\r\n", 400, "invalid_http"),
    "two hosts": Case(b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, "invalid_http"),
    "HTTP/2": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "wrong_protocol"),
    "HTTP/3 in words": Case(b"GET / HTTP/3.0\r\nhost: a\r\n\r\n", 400, "invalid_http"),
    "HTTP/0.9": Case(b"GET /healthz\r\n\r\n", 400, "wrong_protocol"),
    "TLS": Case(bytes.fromhex("16030100a5010000a10303") + bytes(160), 400, "wrong_protocol"),
    "another protocol": Case(b"SSH-2.0-OpenSSH_9.2\r\n", 400, "invalid_http"),
    "bytes": Case(bytes(range(256)), 400, "invalid_http"),
    "half a head, then silence": Case(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n", 408, "request_timeout"),
    "one byte, then silence": Case(b"P", 408, "request_timeout"),
    "half a body, then silence": Case(post(chat())[:-10], 408, "request_timeout"),
    "half a chunked body, then silence": Case(
        post(b"5\r\nab", headers=[("content-length", ""), ("transfer-encoding", "chunked")]), 408, "request_timeout"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_bad_input_gets_a_clear_error_and_the_gateway_goes_on(case: Case):
    settings = IMPATIENT if case.code == "request_timeout" else LIMITS
    async with running_gateway(settings=settings) as gateway:
        response = await _sent(gateway, case.sent)
        assert (response.status, response.error["code"]) == (case.status, case.code)
        assert response.headers["x-penstock-layer"] == "gateway"
        assert response.headers["content-type"] == "application/json"
        assert (await ask(gateway, post(chat()))).status == 200
        assert len(gateway.engine.seen) == 1, "only the good request reached the engine"


async def _sent(gateway: Gateway, data: bytes) -> Response:
    async with connected(gateway) as client:
        sending = asyncio.ensure_future(client.send(data))
        try:
            return await client.response()
        finally:
            sending.cancel()
            await asyncio.wait([sending])


async def test_a_head_that_drips_is_cut():
    async with running_gateway(settings=IMPATIENT) as gateway, connected(gateway) as client:
        dripping = asyncio.ensure_future(_drip(client, get("/healthz", headers=[("x", "a" * 10_000)])))
        response = await client.response()
        assert (response.status, response.error["code"]) == (408, "request_timeout")
        dripping.cancel()
        await asyncio.wait([dripping])


async def _drip(client: Client, data: bytes) -> None:
    for byte in data:
        await client.send(bytes([byte]))
        await asyncio.sleep(0.02)


async def test_a_client_that_takes_nothing_is_cut_and_its_work_ends():
    chunk = b"data: " + b"x" * 65536 + b"\n\n"
    async with running_gateway(streams(10_000, chunk=chunk), settings=IMPATIENT) as gateway:
        async with connected(gateway) as client:
            client.writer.transport.pause_reading()
            await client.send(post(chat(stream=True)))
            await eventually(lambda: bool(gateway.engine.seen) and gateway.engine.in_progress == 0, limit=20)
        assert gateway.app.pools["demo"].lent == 0


async def test_a_silent_connection_is_closed():
    async with running_gateway(settings=IMPATIENT) as gateway, connected(gateway) as client:
        assert await client.is_closed()


async def test_an_idle_connection_is_closed():
    async with running_gateway(settings={**LIMITS, "keepAlive": 0.3}) as gateway, connected(gateway) as client:
        assert (await client.ask(get("/healthz"))).status == 200
        assert await client.is_closed()


async def test_rubbish_after_a_good_request_leaves_its_answer_alone():
    async with running_gateway() as gateway, connected(gateway) as client:
        await client.send(post(chat()) + b"\x00\x01rubbish\r\n\r\n")
        assert (await client.response()).status == 200
        refused = await client.response()
        assert (refused.status, refused.error["code"]) == (400, "invalid_http")
        assert await client.is_closed()


async def test_one_connection_too_many_is_told_so():
    async with (
        running_gateway(settings={"maxConnections": 2}) as gateway,
        connected(gateway) as first,
        connected(gateway) as second,
    ):
        assert (await first.ask(get("/healthz"))).status == 200
        assert (await second.ask(get("/healthz"))).status == 200
        response = await ask(gateway, get("/healthz"))
        assert (response.status, response.error["code"]) == (503, "too_many_connections")
        assert response.headers["retry-after"] == "1"
        assert (await first.ask(get("/healthz"))).status == 200


async def test_an_error_names_the_nearest_model_and_all_of_them():
    async with running_gateway() as gateway:
        error = (await ask(gateway, post(chat("demmo")))).error
    assert "Did you mean 'demo'?" in error["message"]
    assert "Models here: default, demo." in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "model")


async def test_a_wrong_method_is_told_the_right_one():
    async with running_gateway() as gateway:
        assert (await ask(gateway, get("/v1/chat/completions"))).headers["allow"] == "POST, OPTIONS"
