"""Breadth: any method, path, header lines and body, and any bytes: never a 5xx, never silence."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.gateway.routes import ROUTES
from support.gateways import ask, chat, connected, post, running_gateway

pytestmark = pytest.mark.integration

CASES = 125
PER_CASE = 10
"""Requests a case: 2 tests of 125 cases of 10 requests are 2,500."""

SETTINGS = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = {"headerTimeout": 30, "bodyTimeout": 30, "maxBodyBytes": "64Ki"}

methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")
paths = (
    st.sampled_from([*ROUTES, "/v1/models/demo", "/v1/models/none", "/", "*"])
    | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=60).map(
        lambda text: f"/{text}"
    )
    | st.sampled_from(list(ROUTES)).map(lambda path: f"{path}/?a=%00&b=%ff")
)
names = st.text(st.characters(categories=["Ll"], max_codepoint=0x7E), min_size=1, max_size=12) | st.sampled_from(
    [
        "content-type",
        "x-request-id",
        "origin",
        "accept-encoding",
        "authorization",
        "content-encoding",
        "cookie",
        "range",
    ]
)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
forbidden = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect"}
lines = st.lists(st.tuples(names.filter(lambda name: name not in forbidden), values), max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | texts | st.just("demo"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.just("model"), inner, max_size=4),
    max_leaves=20,
)
bodies = st.binary(max_size=300) | documents.map(orjson.dumps) | st.just(chat()) | st.just(b" " * 70_000)
requests = st.tuples(methods, paths, lines, bodies)
Request = tuple[str, str, list[tuple[str, str]], bytes]


@SETTINGS
@given(st.lists(requests, min_size=PER_CASE, max_size=PER_CASE))
def test_any_request_gets_an_answer_that_is_no_defect(
    many: list[Request],
) -> None:
    asyncio.run(_all_answered(many))


async def _all_answered(many: list[Request]) -> None:
    async with running_gateway(settings=LIMITS) as gateway:
        for method, path, extra, body in many:
            headers = {"content-type": "application/json", **dict(extra)}
            request = post(body, path=path, headers=headers.items()).replace(b"POST", method.encode(), 1)
            async with connected(gateway) as client:
                await client.send(request)
                response = await client.response(to_head=method == "HEAD")
            assert response.status < 500, (request, response)
            assert response.whole
            assert "x-request-id" in response.headers or response.status == 400
            if response.status >= 400 and method != "HEAD" and not path.startswith("/v1/messages"):
                assert response.error
        assert (await ask(gateway, post(chat()))).status == 200


@SETTINGS
@given(st.data())
def test_any_bytes_get_an_answer_or_a_closed_connection(data: st.DataObject) -> None:
    good = post(chat())

    def spoiled() -> bytes:
        kind = data.draw(st.sampled_from(["bytes", "cut", "changed", "doubled"]))
        at = data.draw(st.integers(0, len(good) - 1))
        if kind == "bytes":
            return data.draw(st.binary(min_size=1, max_size=200))
        if kind == "cut":
            return good[: at + 1]
        if kind == "doubled":
            return good[:at] + good[at // 2 :]
        return good[:at] + data.draw(st.binary(min_size=1, max_size=3)) + good[at + 1 :]

    asyncio.run(_survives([spoiled() for _ in range(PER_CASE)]))


async def _survives(many: list[bytes]) -> None:
    async with running_gateway(settings=LIMITS) as gateway:

        async def one(raw: bytes) -> None:
            async with connected(gateway) as client:
                await client.send(raw)
                client.writer.write_eof()
                answer = await asyncio.wait_for(client.reader.read(), 10)
                assert not answer.startswith(b"HTTP/1.1 5"), (raw, answer)

        await asyncio.gather(*map(one, many))
        assert (await ask(gateway, post(chat()))).status == 200
