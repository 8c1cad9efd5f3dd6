"""The middleware that vLLM loads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from penstock import aborting
from penstock.engine.guard import OPEN_PATHS, TokenGuard, engine_ids
from penstock.environment import ENGINE_TOKEN


async def _ask(path: str, *, method: str = "POST", authorization: bytes | None = None, kind: str = "http") -> list[Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "passed"})

    async def receive() -> Any:
        raise AssertionError("the guard reads nothing")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", authorization)] if authorization is not None else []
    await TokenGuard(app)({"type": kind, "path": path, "method": method, "headers": headers}, receive, send)
    return sent


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(ENGINE_TOKEN, "right")
    return "right"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize", "/invocations", "/openapi.json", "/", ""])
@pytest.mark.parametrize("given", [None, b"", b"Bearer wrong", b"Bearer ", b"right", b"bearer right", b"Bearer right "])
async def test_no_route_answers_without_the_token(token: str, path: str, given: bytes | None) -> None:
    start, body = await _ask(path, authorization=given)
    assert start["status"] == 401
    assert orjson.loads(body["body"])["error"]["code"] == "invalid_engine_token"


async def test_the_token_opens_every_route(token: str) -> None:
    assert await _ask("/tokenize", authorization=b"Bearer right") == [{"type": "passed"}]


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_probes_and_scrapes_need_no_token(token: str, path: str) -> None:
    assert await _ask(path, method="GET") == [{"type": "passed"}]
    assert (await _ask(path, method="POST"))[0]["status"] == 401


async def test_a_websocket_is_closed(token: str) -> None:
    assert await _ask("/v1/realtime", kind="websocket") == [{"type": "websocket.close", "code": 1008}]


async def test_an_engine_started_without_a_token_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_TOKEN, raising=False)
    assert (await _ask("/v1/models", authorization=b"Bearer None"))[0]["status"] == 401


async def test_lifespan_passes(token: str) -> None:
    assert await _ask("", kind="lifespan") == [{"type": "passed"}]


async def test_the_gateways_word_stops_a_request_under_all_its_names(token: str) -> None:
    stopped: list[list[str]] = []

    async def abort(names: list[str]) -> None:
        stopped.append(names)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("vLLM has no such route")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the guard reads nothing")

    scope = {
        "type": "http",
        "path": aborting.PATH,
        "method": "POST",
        "headers": [(b"authorization", b"Bearer right"), (b"x-request-id", b"mine-1")],
        "app": SimpleNamespace(state=SimpleNamespace(engine_client=SimpleNamespace(abort=abort))),
    }
    await TokenGuard(app)(scope, receive, send)
    assert sent[0]["status"] == 204
    assert stopped == [engine_ids("mine-1")]
    assert {"chatcmpl-mine-1", "cmpl-mine-1-0", "cmpl-mine-1-7", "resp_mine-1_0"} <= set(stopped[0])


async def test_a_stranger_stops_nothing(token: str) -> None:
    assert (await _ask(aborting.PATH))[0]["status"] == 401
