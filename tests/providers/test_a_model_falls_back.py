"""Where our own model cannot answer, its fallback does, where the document and the key allow it, and it is marked."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from penstock.accounts import secret
from penstock.accounts.ledger.report import Question
from penstock.gateway.catalog import Catalog, ModelState
from support.gateways import (
    Behaviour,
    Response,
    answers,
    ask,
    chat,
    connected,
    dies,
    eventually,
    get,
    post,
    refuses,
    streams,
)
from support.keys import listed, opened
from support.limits import open_limits
from support.providers import SLEEPS, Doors, doors, tell

pytestmark = pytest.mark.integration

TOO_LONG = refuses(
    400,
    orjson.dumps(
        {
            "error": {
                "message": "This model's maximum context length is 8 tokens. However, your prompt contains 9 tokens.",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            }
        }
    ),
)
BROKEN = refuses(500, b'{"error":{"message":"CUDA error","type":"InternalServerError","param":null,"code":500}}')
WRONG = refuses(502, b"x")
"""A failure for which no replica is left alone, so that the next request comes to it at once."""
IMPATIENT = {"attempts": 1}


def marks(answer: Response) -> tuple[str | None, str | None]:
    return answer.headers.get("x-penstock-provider"), answer.headers.get("x-penstock-fallback")


def metrics(both: Doors) -> str:
    return both.gateway.app.metrics.text().decode()


async def test_a_model_that_answers_falls_back_to_nothing():
    async with doors() as both:
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, marks(answer)) == (200, (None, None))
        assert not both.cloud.seen


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(dies, "failed"), (BROKEN, "failed"), (refuses(502, b"x"), "failed"), (TOO_LONG, "tooLong")],
)
async def test_an_engine_that_cannot_is_followed_by_the_provider(behaviour: Behaviour, reason: str):
    async with doors(answers, behaviour, settings=IMPATIENT) as both:
        answer = await ask(both.gateway, post(chat("default")))
        assert (answer.status, marks(answer)) == (200, ("cloud", reason))
        assert both.sent[0]["model"] == "vendor/big-1"
        assert (
            f'penstock_provider_fallbacks_total{{answered="true",model="demo",provider="cloud",reason="{reason}"}} 1.0'
            in metrics(both)
        )


async def test_a_model_at_zero_with_a_full_hold_falls_back():
    async with doors(streams(2), settings=SLEEPS) as both:
        both.sleep()
        answer = await ask(both.gateway, post(chat(stream=True)))
        assert (answer.status, marks(answer)) == (200, ("cloud", "noReplica"))
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_a_model_at_zero_is_waited_for_while_the_hold_has_room():
    async with doors(settings={"hold": {"requests": 1}}) as both, connected(both.gateway) as client:
        both.sleep()
        await client.send(post(chat()))
        await eventually(lambda: both.gateway.app.pools["demo"].held == 1)
        assert marks(await ask(both.gateway, post(chat()))) == ("cloud", "noReplica")
        both.gateway.source.there.set()
        answer = await client.response()
        assert (answer.status, marks(answer)) == (200, (None, None))
        assert len(both.cloud.seen) == 1


async def test_a_hold_that_is_over_is_as_a_full_one():
    async with doors(settings={"hold": {"seconds": "200ms"}}) as both:
        both.sleep()
        assert marks(await ask(both.gateway, post(chat()))) == ("cloud", "noReplica")


async def test_an_overload_of_a_model_that_is_ready_stays_here():
    async with doors(settings=SLEEPS) as both:
        catalog = both.gateway.app.catalog
        both.sleep()
        ready = ModelState(known=True, replicas_ready=1)
        both.gateway.app.reconfigure(Catalog([replace(catalog.models["demo"], state=ready)]))
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, marks(answer)) == (429, (None, None))
        assert not both.cloud.seen


async def test_a_model_without_a_fallback_never_leaves():
    async with doors(settings=SLEEPS) as both:
        both.sleep()
        answer = await ask(both.gateway, post(chat("alone")))
        assert (answer.status, answer.error["code"]) == (429, "queue_full")
        assert not both.cloud.seen


async def test_only_the_reasons_of_the_document_count():
    async with doors(answers, TOO_LONG, settings=IMPATIENT, when=["failed"]) as both:
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, marks(answer)) == (400, (None, None))
        assert "maximum context length is 8" in answer.json()["error"]["message"]
        both.gateway.engine.behaviour = WRONG
        assert marks(await ask(both.gateway, post(chat()))) == ("cloud", "failed")


async def test_an_error_of_the_request_itself_stays_the_engines_own():
    async with doors(answers, refuses(400, b'{"error":{"message":"no such parameter","code":400}}')) as both:
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, answer.headers["x-penstock-layer"]) == (400, "engine")
        assert not both.cloud.seen


async def test_nothing_falls_back_once_a_byte_has_reached_the_client():
    async with doors(answers, streams(2, die=True), settings=IMPATIENT) as both:
        answer = await ask(both.gateway, post(chat(stream=True)))
        assert b'"engine_stream_interrupted"' in answer.body
        assert not both.cloud.seen


async def test_a_stream_that_is_kept_awake_by_comments_does_not_fall_back():
    settings = {"hold": {"seconds": "500ms", "heartbeat": "50ms"}}
    async with doors(settings=settings) as both:
        both.sleep()
        answer = await ask(both.gateway, post(chat(stream=True)))
        assert (answer.status, marks(answer)) == (200, (None, None))
        assert b'"no_replica"' in answer.body
        assert not both.cloud.seen


async def test_a_fallback_that_fails_leaves_the_models_own_error_and_says_so():
    async with doors(dies, WRONG, settings=IMPATIENT) as both:
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, answer.error["code"]) == (502, "engine_refused")
        assert "Its fallback 'big' did not help: The provider 'cloud'" in answer.error["message"]
        assert marks(answer) == (None, None)
        assert 'answered="false",model="demo"' in metrics(both)
        both.gateway.engine.behaviour = TOO_LONG
        answer = await ask(both.gateway, post(chat()))
        assert (answer.status, answer.json()["error"]["param"]) == (400, "input_tokens")


async def test_an_open_breaker_costs_a_fallback_no_time_and_no_request():
    async with doors(dies, WRONG, settings=IMPATIENT, breaker={"failures": 1, "pause": "1h"}) as both:
        await ask(both.gateway, post(chat("big")))
        answer = await ask(both.gateway, post(chat()))
        assert "failed again and again" in answer.error["message"]
        assert len(both.cloud.seen) == 1


async def test_a_fallback_cut_in_the_middle_is_marked_as_it_began():
    async with doors(streams(2, die=True), dies, settings=IMPATIENT) as both:
        answer = await ask(both.gateway, post(chat(stream=True)))
        assert marks(answer) == ("cloud", "failed")
        assert b'"provider_stream_interrupted"' in answer.body


async def test_a_key_that_may_not_use_the_provider_gets_the_models_own_error():
    granted, here_alone, other_model = secret.new_key(), secret.new_key(), secret.new_key()
    keys = {
        "granted": listed(granted, models=["*", "provider:cloud"]),
        "here": listed(here_alone),
        "other": listed(other_model, models=["demo", "provider:cloud"]),
    }
    async with opened({}, keys) as accounts, doors(answers, WRONG, settings=IMPATIENT, accounts=accounts) as both:

        async def asked(key: str) -> Response:
            return await ask(both.gateway, post(chat(), headers=[("authorization", f"Bearer {key}")]))

        assert marks(await asked(granted)) == ("cloud", "failed")
        for key in (here_alone, other_model):
            answer = await asked(key)
            assert (answer.status, marks(answer)) == (502, (None, None))
            assert "this key may not use 'big' of the provider 'cloud'" in answer.error["message"]
        assert len(both.cloud.seen) == 1


async def test_what_a_fallback_took_is_kept_and_paid_as_the_providers_model():
    key = secret.new_key()
    keys = {"team": listed(key, models=["*", "provider:*"], owner="research", limits={"moneyPerDay": 1})}
    prices = {"demo": {"prompt": 0, "completion": 0}, "big": {"prompt": 100_000, "completion": 160_000}}
    async with (
        opened({}, keys) as accounts,
        open_limits({"prices": prices}) as limits,
        doors(answers, answers, accounts=accounts, limits=limits, settings=IMPATIENT) as both,
    ):
        line = [("authorization", f"Bearer {key}")]
        # Of our own, which costs nothing; then 3 tokens of a prompt and 5 of an answer of the provider's: 1.1.
        assert (await ask(both.gateway, post(chat(), headers=line))).status == 200
        both.gateway.engine.behaviour = WRONG
        assert marks(await ask(both.gateway, post(chat(), headers=line))) == ("cloud", "failed")
        spent = await ask(both.gateway, post(chat(), headers=line))
        assert (spent.status, spent.error["type"]) == (429, "insufficient_quota")
        assert len(both.cloud.seen) == 1


async def test_a_streams_tokens_are_asked_for_and_taken_out_again_where_they_count():
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'

    async def behave(engine: Any, seen: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await streams(1, chunk=b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' + usage)(
            engine, seen, reader, writer
        )

    keys = {"team": listed(key := secret.new_key(), models=["*", "provider:*"])}
    async with opened({}, keys) as accounts, doors(behave, accounts=accounts) as both:
        line = [("authorization", f"Bearer {key}")]
        answer = await ask(both.gateway, post(chat("big", stream=True), headers=line))
        assert both.sent[0]["stream_options"] == {"include_usage": True}
        assert answer.body == b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
        assert 'penstock_gateway_tokens_total{kind="completion",model="big"} 2.0' in metrics(both)
        both.tell(streamUsage=False)
        answer = await ask(both.gateway, post(chat("big", stream=True), headers=line))
        assert "stream_options" not in both.sent[1]
        assert usage in answer.body


async def test_the_listing_says_who_answers_and_what_helps():
    async with doors() as both:
        cards = {card["id"]: card for card in (await ask(both.gateway, get("/v1/models"))).json()["data"]}
        assert (cards["big"]["owned_by"], cards["big"]["provider"], cards["big"]["status"]) == (
            "cloud",
            "cloud",
            "ready",
        )
        assert (cards["demo"]["provider"], cards["demo"]["fallback"]) == (None, "big")
        assert cards["alone"]["fallback"] is None


async def test_a_provider_that_is_gone_from_the_document_helps_nobody():
    async with doors(answers, WRONG, settings=IMPATIENT) as both:
        both.gateway.app.replace_providers({})
        answer = await ask(both.gateway, post(chat()))
        assert "no such model of a provider any more" in answer.error["message"]
        tell(both.gateway, both.cloud.replica.base_url)
        assert marks(await ask(both.gateway, post(chat()))) == ("cloud", "failed")


async def test_the_ledger_knows_which_provider_answered_why_and_for_how_much(tmp_path: Path):
    key = secret.new_key()
    keys = {"team": listed(key, models=["*", "provider:*"], owner="research")}
    settings = {
        "database": {"sqlite": str(tmp_path / "accounts.db")},
        "usage": {"directory": str(tmp_path / "usage"), "flush": "100ms"},
    }
    prices = {"demo": {"prompt": 1, "completion": 1}, "big": {"prompt": 100_000, "completion": 160_000}}
    line = [("authorization", f"Bearer {key}")]
    async with (
        opened(settings, keys) as accounts,
        open_limits({"prices": prices}) as limits,
        doors(answers, answers, accounts=accounts, limits=limits, settings=IMPATIENT) as both,
    ):
        for behaviour, model in ((answers, "demo"), (WRONG, "demo"), (answers, "largest")):
            both.gateway.engine.behaviour = behaviour
            assert (await ask(both.gateway, post(chat(model), headers=line))).status == 200
        assert accounts.usage is not None
        ledger = accounts.usage.ledger
        await eventually(lambda: ledger.stored == 3)
        report = await accounts.usage.report(Question(by=("team", "model")))
        rows = {row.model: row for row in report.rows}
        assert (rows["demo"].requests, rows["demo"].provider_requests, rows["demo"].cost) == (1, 0, 0.000008)
        assert (rows["big"].requests, rows["big"].provider_requests, rows["big"].cost) == (2, 2, 2.2)
        assert report.total.cost == 2.200008
    with sqlite3.connect(tmp_path / "accounts.db") as store:
        found = store.execute("SELECT model, provider, fallback, cost FROM penstock_usage").fetchall()
    store.close()
    dear = 11 * 10**8
    assert sorted(found) == [("big", "cloud", "", dear), ("big", "cloud", "failed", dear), ("demo", "", "", 8000)]
