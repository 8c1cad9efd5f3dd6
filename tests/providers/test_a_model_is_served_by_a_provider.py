"""A provider's model is asked for as any other: under our name, with the provider's key, which nobody else sees."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from penstock.accounts import secret
from support.gateways import (
    FakeEngine,
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
    says,
    stalls,
    streams,
)
from support.keys import listed, opened
from support.providers import KEY, VARIABLE, TlsEngine, doors, self_signed, tell

pytestmark = pytest.mark.integration


async def test_it_gets_its_own_name_its_own_key_and_nothing_of_the_clients_header():
    async with doors() as both:
        mine = [("authorization", "Bearer sk-mine"), ("cookie", "a=b"), ("openai-organization", "mine")]
        answer = await ask(both.gateway, post(chat("largest", temperature=0.5), headers=mine))
        assert answer.status == 200
        assert answer.headers["x-penstock-provider"] == "cloud"
        assert "x-penstock-fallback" not in answer.headers
        assert answer.json()["usage"]["completion_tokens"] == 5
        [seen] = both.cloud.seen
        assert seen.target == "/v1/chat/completions"
        assert both.sent[0]["model"] == "vendor/big-1"
        assert both.sent[0]["temperature"] == 0.5
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert not {"cookie", "openai-organization", "x-request-id"} & seen.headers.keys()
        assert 'penstock_gateway_tokens_total{kind="completion",model="big"} 5.0' in metrics(both)
        assert 'penstock_provider_requests_total{outcome="answered",provider="cloud"} 1.0' in metrics(both)
        assert not both.gateway.engine.seen


def metrics(both) -> str:
    return both.gateway.app.metrics.text().decode()


async def test_a_stream_is_passed_on_byte_for_byte_while_it_comes():
    more = asyncio.Event()
    async with doors(streams(3, wait=more)) as both, connected(both.gateway) as client:
        await client.send(post(chat("big", stream=True)))
        began = await client.head()
        assert began.headers["content-type"] == "text/event-stream"
        size = int(await client.reader.readuntil(b"\r\n"), 16)
        assert (await client.reader.readexactly(size)).startswith(b'data: {"n":0}\n\n')
        more.set()
        rest = await client.reader.readuntil(b"data: [DONE]\n\n")
        assert b'data: {"n":2}\n\n' in rest


async def test_a_provider_without_a_key_gets_none():
    async with doors(key=None) as both:
        await ask(both.gateway, post(chat("big")))
        assert "authorization" not in both.cloud.seen[0].headers


async def test_a_key_of_a_file_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("penstock.gateway.providers.keys.AGAIN", 0.0)
    file = tmp_path / "key"
    file.write_text("first\n")
    async with doors(key={"file": str(file)}, keyHeader="api-key") as both:
        await ask(both.gateway, post(chat("big")))
        file.write_text("second")
        await ask(both.gateway, post(chat("big")))
        assert [seen.headers["api-key"] for seen in both.cloud.seen] == ["first", "second"]


async def test_a_key_that_is_not_there_is_said_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.delenv(VARIABLE)
    async with doors() as both:
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (502, "provider_key_missing")
        assert VARIABLE not in answer.body.decode()
        assert VARIABLE in str([record.__dict__ for record in caplog.records])
        assert not both.cloud.seen


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (refuses(500, b"{}"), 502, "provider_failed"),
        (refuses(503, b'{"error":{"message":"org-1 is over"}}'), 502, "provider_failed"),
        (refuses(429, b'{"error":{"message":"org-1 is over"}}'), 429, "provider_rate_limited"),
        (refuses(401, b'{"error":{"message":"Incorrect key sk-cloud-01"}}'), 502, "provider_key_refused"),
        (refuses(200, b"<html>", "text/html"), 502, "provider_nonsense"),
        (says(b"hello\r\n\r\n"), 502, "provider_unreachable"),
        (says(head(200, [("x-much", "y" * 100_000), ("content-length", "0")])), 502, "provider_unreachable"),
        (refuses(200, b""), 502, "provider_unreachable"),
        (dies, 502, "provider_unreachable"),
    ],
)  # fmt: skip
async def test_a_provider_that_fails_is_named_and_what_it_says_of_us_is_not_passed_on(behaviour, status, code):
    async with doors(behaviour) as both:
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (status, code)
        assert answer.headers["x-penstock-layer"] == "provider"
        assert answer.headers["x-penstock-provider"] == "cloud"
        assert "cloud" in answer.error["message"]
        for secret_thing in (KEY, "sk-cloud-01", "org-1"):
            assert secret_thing not in answer.body.decode()
        await eventually(lambda: not both.cloud.in_progress)


async def test_a_limit_says_when_to_come_back():
    wait = says(head(429, [("retry-after", "7"), ("content-length", "0")]))
    async with doors(wait) as both:
        assert (await ask(both.gateway, post(chat("big")))).headers["retry-after"] == "7"


async def test_what_is_wrong_with_a_request_is_the_clients_to_know_but_not_our_key():
    body = f'{{"error":{{"message":"no such parameter; key {KEY}","type":"invalid_request_error"}}}}'.encode()
    async with doors(refuses(400, body)) as both:
        answer = await ask(both.gateway, post(chat("big")))
        assert answer.status == 400
        assert answer.json()["error"]["message"] == "no such parameter; key ***"
        assert answer.headers["x-penstock-layer"] == "provider"
        both.cloud.behaviour = refuses(404, b"no such deployment", "text/plain")
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (404, "provider_refused")
        assert "no such deployment" in answer.error["message"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_the_key_elsewhere(status: int):
    other = FakeEngine(answers)
    await other.start()
    try:
        there = says(head(status, [("location", f"{other.replica.base_url}/v1"), ("content-length", "0")]))
        async with doors(there) as both:
            answer = await ask(both.gateway, post(chat("big")))
            assert (answer.status, answer.error["code"]) == (502, "provider_redirects")
            assert other.replica.base_url not in answer.body.decode()
        assert not other.seen
    finally:
        await other.stop()


async def test_no_proxy_of_the_environment_gets_the_key(monkeypatch: pytest.MonkeyPatch):
    proxy = FakeEngine(answers)
    await proxy.start()
    try:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.replica.base_url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with doors() as both:
            assert (await ask(both.gateway, post(chat("big")))).status == 200
        assert not proxy.seen
    finally:
        await proxy.stop()


async def test_nothing_is_sent_to_whom_the_certificate_does_not_prove(tmp_path: Path):
    certificate, context = self_signed(tmp_path)
    fake = TlsEngine(answers, context=context)
    await fake.start()
    try:
        async with doors() as both:
            url = fake.replica.base_url.replace("http:", "https:")
            tell(both.gateway, url)
            answer = await ask(both.gateway, post(chat("big")))
            assert (answer.status, answer.error["code"]) == (502, "provider_certificate")
            assert not fake.seen
            tell(both.gateway, url, caFile=str(certificate))
            assert (await ask(both.gateway, post(chat("big")))).status == 200
            # The name in the address counts, too.
            tell(both.gateway, url.replace("127.0.0.1", "localhost"), caFile=str(certificate))
            assert (await ask(both.gateway, post(chat("big")))).error["code"] == "provider_certificate"
            assert len(fake.seen) == 1
    finally:
        await fake.stop()


async def test_the_key_is_in_no_log_and_in_no_answer(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with doors(refuses(500, KEY.encode())) as both:
        for behaviour in (refuses(500, KEY.encode()), refuses(400, KEY.encode(), "text/plain"), answers, dies):
            both.cloud.behaviour = behaviour
            assert KEY not in (await ask(both.gateway, post(chat("big")))).body.decode()
        listing = await ask(both.gateway, get("/v1/models"))
        assert KEY not in listing.body.decode() + metrics(both)
    assert KEY not in "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


async def test_a_stream_that_is_cut_ends_with_an_error_and_is_asked_for_nowhere_else():
    async with doors(streams(2, die=True)) as both:
        answer = await ask(both.gateway, post(chat("big", stream=True)))
        assert answer.status == 200
        assert not answer.whole
        assert b'"provider_stream_interrupted"' in answer.body
        assert len(both.cloud.seen) == 1
        assert not both.gateway.engine.seen


async def test_a_provider_that_never_answers_is_not_waited_for_for_ever():
    async with doors(stalls, timeouts={"firstByte": "300ms"}) as both:
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (504, "provider_timeout")
        await eventually(lambda: not both.cloud.in_progress)


async def test_a_stream_that_stops_is_not_waited_for_for_ever():
    async with doors(streams(2, wait=asyncio.Event()), timeouts={"idle": "1s"}) as both:
        answer = await ask(both.gateway, post(chat("big", stream=True)))
        assert b'"provider_stream_interrupted"' in answer.body
        await eventually(lambda: not both.cloud.in_progress)


async def test_an_answer_that_takes_longer_than_any_request_may_is_cut():
    settings = {"longestRequest": "1s"}
    async with doors(streams(2, wait=asyncio.Event()), settings=settings) as both:
        answer = await ask(both.gateway, post(chat("big", stream=True)))
        assert answer.status == 200
        assert b'"provider_timeout"' in answer.body
        both.cloud.behaviour = stalls
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (504, "provider_timeout")
        assert "gateway.longestRequest" in answer.error["message"]


async def test_a_client_that_leaves_cuts_the_provider_off_and_opens_no_breaker():
    async with doors(stalls, breaker={"failures": 1}) as both:
        async with connected(both.gateway) as client:
            await client.send(post(chat("big")))
            await eventually(lambda: both.cloud.in_progress == 1)
        await eventually(lambda: not both.cloud.in_progress)
        both.cloud.behaviour = answers
        assert (await ask(both.gateway, post(chat("big")))).status == 200


async def test_a_provider_that_fails_again_and_again_is_left_alone_and_seen_to_be():
    async with doors(refuses(500, b""), breaker={"failures": 2, "pause": "1h"}) as both:
        for _ in range(2):
            assert (await ask(both.gateway, post(chat("big")))).error["code"] == "provider_failed"
        assert 'penstock_provider_breaker_open{provider="cloud"} 1.0' in metrics(both)
        answer = await ask(both.gateway, post(chat("big")))
        assert (answer.status, answer.error["code"]) == (503, "provider_unavailable")
        assert int(answer.headers["retry-after"]) > 3000
        assert len(both.cloud.seen) == 2
        card = (await ask(both.gateway, get("/v1/models/big"))).json()
        assert (card["ready"], card["status"], card["provider"]) == (False, "unavailable", "cloud")


async def test_a_provider_that_is_well_again_is_asked_again():
    async with doors(refuses(500, b""), breaker={"failures": 1, "pause": "50ms"}) as both:
        await ask(both.gateway, post(chat("big")))
        both.cloud.behaviour = answers
        await eventually(lambda: 'breaker_open{provider="cloud"} 0.5' in metrics(both))
        assert (await ask(both.gateway, post(chat("big")))).status == 200
        assert 'breaker_open{provider="cloud"} 0.0' in metrics(both)


async def test_what_a_provider_does_not_offer_is_refused_here():
    async with doors(endpoints=["/v1/chat/completions"]) as both:
        answer = await ask(both.gateway, post(b'{"model":"big","input":"x"}', "/v1/embeddings"))
        assert (answer.status, answer.error["code"]) == (400, "endpoint_not_supported")
        assert not both.cloud.seen


async def test_a_key_needs_the_provider_and_the_model():
    all_of_ours, both_of_them, provider_alone = secret.new_key(), secret.new_key(), secret.new_key()
    keys = {
        "ours": listed(all_of_ours),
        "both": listed(both_of_them, models=["b*", "provider:cl*"]),
        "provider": listed(provider_alone, models=["demo", "provider:*"]),
    }
    async with opened({}, keys) as accounts, doors(accounts=accounts) as both:

        async def models(key: str) -> list[str]:
            listing = await ask(both.gateway, get("/v1/models", headers=[("authorization", f"Bearer {key}")]))
            return [card["id"] for card in listing.json()["data"]]

        async def status(key: str) -> int:
            return (await ask(both.gateway, post(chat("big"), headers=[("authorization", f"Bearer {key}")]))).status

        assert await models(all_of_ours) == ["demo", "default", "alone"]
        assert await models(both_of_them) == ["big", "largest"]
        assert await models(provider_alone) == ["demo", "default"]
        assert [await status(key) for key in (all_of_ours, both_of_them, provider_alone)] == [403, 200, 403]
        assert len(both.cloud.seen) == 1


async def test_a_provider_that_changes_lets_what_is_in_progress_finish():
    more = asyncio.Event()
    async with doors(streams(3, wait=more)) as both, connected(both.gateway) as client:
        await client.send(post(chat("big", stream=True)))
        await client.head()
        both.tell(timeouts={"idle": "59s"})
        more.set()
        assert await client.reader.readuntil(b"data: [DONE]\n\n")
        assert (await ask(both.gateway, post(chat("big", stream=True)))).whole
