"""A gateway that keeps answers: who gets them, when, and in what form."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from penstock.board import Phase, PhaseMark, ReplicaReport
from penstock.config import AnswerCache
from penstock.gateway.catalog import Catalog, ModelEntry, derive_state
from support.gateways import (
    Behaviour,
    Response,
    answers,
    ask,
    chat,
    connected,
    get,
    post,
    refuses,
    running_gateway,
    streams,
)

ON = ("x-penstock-cache", "on")
OFF = ("x-penstock-cache", "off")


def demo(cache: AnswerCache | None = None, **more: Any) -> list[ModelEntry]:
    return [ModelEntry("demo", ("default",), 1_700_000_000, cache=cache or AnswerCache(), **more)]


def word(response: Response) -> str | None:
    return response.headers.get("x-penstock-cache")


async def test_an_equal_request_is_answered_without_an_engine() -> None:
    async with running_gateway(models=demo()) as gateway:
        first = await ask(gateway, post(chat(temperature=0, user="a")))
        again = await ask(gateway, post(chat(user="b", temperature=0)))
        assert (word(first), word(again)) == ("miss", "hit")
        assert again.body == first.body
        assert again.headers["content-type"] == "application/json"
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert len(gateway.engine.seen) == 1
        assert "x-penstock-cache" not in gateway.engine.seen[0].headers


async def test_a_stream_is_given_again_as_a_stream() -> None:
    async with running_gateway(streams(), models=demo()) as gateway:
        first = await ask(gateway, post(chat(temperature=0, stream=True)))
        again = await ask(gateway, post(chat(temperature=0, stream=True)))
        assert (word(first), word(again)) == ("miss", "hit")
        assert again.body == first.body == b'data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n'
        assert again.headers["content-type"] == "text/event-stream"
        assert len(gateway.engine.seen) == 1


async def test_a_connection_goes_on_after_a_hit() -> None:
    async with running_gateway(streams(), models=demo()) as gateway, connected(gateway) as client:
        found = [word(await client.ask(post(chat(seed=1, stream=True)))) for _ in range(4)]
    assert found == ["miss", "hit", "hit", "hit"]


async def test_a_sampled_answer_is_kept_only_where_the_document_says_so() -> None:
    async with running_gateway(models=demo()) as gateway:
        assert [word(await ask(gateway, post(chat()))) for _ in range(2)] == [None, None]
        assert len(gateway.engine.seen) == 2
    async with running_gateway(models=demo(AnswerCache(sampled=True))) as gateway:
        assert [word(await ask(gateway, post(chat()))) for _ in range(2)] == ["miss", "hit"]


@pytest.mark.parametrize(
    ("when", "plain", "on", "off"),
    [("always", True, True, False), ("asked", False, True, False), ("never", False, False, False)],
)
async def test_the_document_says_what_a_header_may_wish(when: Any, plain: bool, on: bool, off: bool) -> None:
    for headers, looked in (((), plain), ((ON,), on), ((OFF,), off)):
        async with running_gateway(models=demo(AnswerCache(when=when))) as gateway:
            found = [word(await ask(gateway, post(chat(temperature=0), headers=headers))) for _ in range(2)]
        assert found == (["miss", "hit"] if looked else [None, None])


async def test_a_wish_that_is_none_is_told() -> None:
    async with running_gateway(models=demo()) as gateway:
        response = await ask(gateway, post(chat(temperature=0), headers=[("x-penstock-cache", "yes")]))
    assert response.status == 400
    assert response.error["code"] == "invalid_header"


async def test_a_model_without_a_cache_pays_nothing_and_says_nothing() -> None:
    async with running_gateway() as gateway:
        found = [await ask(gateway, post(chat(temperature=0), headers=[ON])) for _ in range(2)]
        assert [word(response) for response in found] == [None, None]
        assert len(gateway.engine.seen) == 2
        assert "penstock_gateway_cache_answers 0.0" in gateway.app.metrics.text().decode()


async def says_error_in_stream(engine: Any, seen: Any, reader: Any, writer: Any) -> None:
    await streams(chunk=b'data: {"error":{"message":"x"}}\n\n')(engine, seen, reader, writer)


@pytest.mark.parametrize(
    ("behaviour", "stream"),
    [
        (refuses(400, b'{"error":{"message":"no"}}'), False),
        (refuses(500, b'{"error":{"message":"no"}}'), False),
        (refuses(200, b""), False),
        (streams(die=True), True),
        (says_error_in_stream, True),
    ],
)
async def test_what_is_not_whole_and_good_is_not_kept(behaviour: Behaviour, stream: bool) -> None:
    # Two of them: one that broke is left alone for a while.
    async with running_gateway(behaviour, behaviour, models=demo()) as gateway:
        for _ in range(2):
            response = await ask(gateway, post(chat(temperature=0, stream=stream)))
            assert word(response) in (None, "miss")
        assert sum(len(engine.seen) for engine in gateway.engines) == 2


async def test_an_engines_error_passes_as_it_is() -> None:
    async with running_gateway(refuses(400, b'{"error":{"message":"no"}}'), models=demo()) as gateway:
        response = await ask(gateway, post(chat(temperature=0)))
    assert (response.status, response.body) == (400, b'{"error":{"message":"no"}}')
    assert response.headers["x-penstock-layer"] == "engine"


async def test_a_broken_stream_ends_with_its_error() -> None:
    async with running_gateway(streams(2, die=True), models=demo()) as gateway:
        response = await ask(gateway, post(chat(temperature=0, stream=True)))
    assert not response.whole
    assert orjson.loads(response.body.split(b"data: ")[-1])["error"]["code"] == "engine_stream_interrupted"


async def test_an_answer_that_is_too_large_passes_and_is_not_kept() -> None:
    chunk = b'data: {"text":"%b"}\n\n' % (b"x" * 50_000)
    settings = {"cache": {"largest": "100Ki"}}
    async with running_gateway(streams(20, chunk=chunk), models=demo(), settings=settings) as gateway:
        for _ in range(2):
            response = await ask(gateway, post(chat(temperature=0, stream=True)))
            assert response.body == chunk * 20 + b"data: [DONE]\n\n"
            assert word(response) == "miss"
        assert len(gateway.engine.seen) == 2


def report(spec: str, phase: Phase = Phase.READY) -> ReplicaReport:
    return ReplicaReport(model="demo", replica=f"{spec} {phase}", spec=spec, phases=[PhaseMark(phase=phase, at=1.0)])


async def test_replicas_of_another_document_answer_for_themselves() -> None:
    async with running_gateway(models=demo(state=derive_state([report("old")]))) as gateway:

        async def asked(*reports: ReplicaReport) -> str | None:
            gateway.app.reconfigure(Catalog(demo(state=derive_state(reports))))
            return word(await ask(gateway, post(chat(temperature=0))))

        assert await asked(report("old")) == "miss"
        assert await asked(report("old"), report("new", Phase.LOADING)) == "hit"
        assert await asked(report("old", Phase.DRAINING), report("new")) == "miss", "either may answer"
        assert await asked(report("new")) == "miss", "what either answered is not kept"
        assert await asked(report("new"), report("old", Phase.FAILED)) == "hit"
        assert await asked() == "miss", "which weights come next is not known"
        assert await asked(report("old")) == "hit", "the old one is back"


async def test_an_answer_ends_with_its_time() -> None:
    now = [1000.0]
    async with running_gateway(models=demo(AnswerCache(ttl=60))) as gateway:
        gateway.app._cache._wall = lambda: now[0]
        found = []
        for moment in (1000.0, 1060.0, 1060.1, 1061.0):
            now[0] = moment
            found.append(word(await ask(gateway, post(chat(temperature=0)))))
    assert found == ["miss", "hit", "miss", "hit"]


async def test_aliases_are_kept_apart_because_answers_repeat_them() -> None:
    async with running_gateway(models=demo()) as gateway:
        assert word(await ask(gateway, post(chat(temperature=0)))) == "miss"
        assert word(await ask(gateway, post(chat("default", temperature=0)))) == "miss"


async def test_what_becomes_of_requests_is_counted() -> None:
    async with running_gateway(models=demo()) as gateway:
        for _ in range(3):
            await ask(gateway, post(chat(temperature=0)))
        text = (await ask(gateway, get("/metrics"))).body.decode()
    assert 'penstock_gateway_cache_requests_total{model="demo",outcome="miss"} 1.0' in text
    assert 'penstock_gateway_cache_requests_total{model="demo",outcome="hit"} 2.0' in text
    assert 'penstock_gateway_tokens_total{kind="prompt",model="demo"} 3.0' in text, "a hit takes no tokens"
    assert "penstock_gateway_cache_answers 1.0" in text


async def test_a_request_that_is_refused_looks_for_nothing() -> None:
    async with running_gateway(answers, models=demo(), settings={"cache": {"largest": 20}}) as gateway:
        assert word(await ask(gateway, post(chat(temperature=0)))) is None
