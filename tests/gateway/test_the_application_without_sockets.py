"""The ASGI application with made-up messages and a made-up engine: it needs no listener of ours."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from penstock import config
from penstock.gateway.app import GatewayApp
from penstock.gateway.call import Message
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.engine_connection import EngineBrokeError, Sink
from penstock.gateway.headers import Header
from penstock.gateway.leases import Replica, StaticSource
from support.gateways import chat, eventually


class FakeAnswer:
    """Chunks; an exception among them is raised, an event waited for."""

    def __init__(self, chunks: list[Any], status: int = 200) -> None:
        self.status = status
        self.headers: list[Header] = [(b"content-type", b"text/event-stream")]
        self.closed = False
        self._chunks = list(chunks)

    async def read(self) -> bytes:
        if not self._chunks:
            return b""
        chunk = self._chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        if isinstance(chunk, asyncio.Event):
            await chunk.wait()
            return await self.read()
        assert isinstance(chunk, bytes)
        return chunk

    async def hand_on(self, sink: Sink) -> None:
        raise NotImplementedError("only our own listener takes bytes so")

    def close(self) -> None:
        self.closed = True


class FakeClient:
    """Answers in turn; an exception among them is raised."""

    def __init__(self, *answers: FakeAnswer | Exception) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[str, str]] = []

    async def send(self, replica: Replica, path: str, headers: list[Header], body: bytes) -> FakeAnswer:
        self.sent.append((replica.id, path))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


class Client:
    """The other side of ASGI."""

    def __init__(self, body: bytes, *, parts: int = 1) -> None:
        size = max(1, -(-len(body) // parts))
        pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
            for number, piece in enumerate(pieces)
        ]
        self.left = asyncio.Event()
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    @property
    def status(self) -> int:
        return self.got[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])

    @property
    def whole(self) -> bool:
        return not self.got[-1].get("more_body", True)


def scope(
    path: str = "/v1/chat/completions", method: str = "POST", headers: list[Header] | None = None
) -> dict[str, Any]:
    lines = [(b"content-type", b"application/json")] if headers is None else headers
    return {"type": "http", "method": method, "path": path, "headers": lines, "query_string": b""}


def app_with(client: FakeClient, replicas: int = 2, **settings: Any) -> tuple[GatewayApp, StaticSource]:
    source = StaticSource([Replica(f"r{number}", f"http://r{number}", "t") for number in range(replicas)])
    parsed = config.Gateway.model_validate(settings)
    return GatewayApp(parsed, Catalog([ModelEntry("demo")]), lambda _: source, client=client), source


async def test_a_stream_is_passed_on_chunk_by_chunk():
    app, source = app_with(FakeClient(answer := FakeAnswer([b"data: 1\n\n", b"data: 2\n\n"])))
    await app(scope(), (client := Client(chat())).receive, client.send)
    assert (client.status, client.body, client.whole) == (200, b"data: 1\n\ndata: 2\n\n", True)
    assert [message.get("body") for message in client.got[1:]] == [b"data: 1\n\n", b"data: 2\n\n", b""]
    assert answer.closed
    await app.close()
    assert source.in_use == 0


async def test_another_replica_is_tried_until_something_was_sent():
    broken = FakeAnswer([EngineBrokeError("died", "x")])
    app, source = app_with(
        fake := FakeClient(EngineBrokeError("refused", "x"), broken, FakeAnswer([b"ok"])), replicas=3
    )
    await app(scope(), (client := Client(chat())).receive, client.send)
    assert (client.status, client.body) == (200, b"ok")
    assert len({replica for replica, _ in fake.sent}) == 3
    assert broken.closed
    await app.close()
    assert source.in_use == 0


async def test_what_was_begun_is_never_tried_again():
    app, _ = app_with(
        fake := FakeClient(FakeAnswer([b"data: 1\n\n", EngineBrokeError("died", "x")]), FakeAnswer([b"no"]))
    )
    await app(scope(), (client := Client(chat())).receive, client.send)
    assert len(fake.sent) == 1
    assert not client.whole
    assert orjson.loads(client.body.split(b"data: ")[2])["error"]["code"] == "engine_stream_interrupted"
    await app.close()


async def test_a_client_that_leaves_cancels_wherever_the_request_is():
    never = asyncio.Event()
    for answer in (FakeAnswer([never]), FakeAnswer([b"data: 1\n\n", never])):
        app, source = app_with(fake := FakeClient(answer))
        client = Client(chat())
        running = asyncio.create_task(app(scope(), client.receive, client.send))
        await eventually(lambda fake=fake: bool(fake.sent))
        client.left.set()
        await asyncio.wait_for(running, 60)
        assert answer.closed
        assert b'status="499"' in app.metrics.text()
        await app.close()
        assert source.in_use == 0


async def test_a_client_that_leaves_while_it_waits_for_a_replica_is_forgotten():
    app, _ = app_with(FakeClient(), replicas=0)
    client = Client(chat())
    running = asyncio.create_task(app(scope(), client.receive, client.send))
    await eventually(lambda: app.pools["demo"].waiting == 1)
    client.left.set()
    await asyncio.wait_for(running, 60)
    assert app.pools["demo"].waiting == 0
    assert client.got == []
    await app.close()


async def test_a_client_that_leaves_in_its_body_is_no_error():
    app, _ = app_with(FakeClient())
    client = Client(chat(), parts=3)
    client._messages[1:] = [{"type": "http.disconnect"}]
    await app(scope(), client.receive, client.send)
    assert client.got == []
    await app.close()


async def test_a_body_in_parts_is_put_together_up_to_its_bound():
    app, _ = app_with(FakeClient(FakeAnswer([b"ok"])), maxBodyBytes=len(chat()))
    await app(scope(), (client := Client(chat(), parts=7)).receive, client.send)
    assert client.status == 200
    await app(scope(), (client := Client(chat() + b" ", parts=7)).receive, client.send)
    assert client.status == 413
    await app(scope(), (client := Client(chat() + b" ")).receive, client.send)
    assert client.status == 413
    await app.close()


@pytest.mark.parametrize(("length", "status"), [(b"x", 400), (b"99999999999", 413)])
async def test_an_announced_length_is_believed(length: bytes, status: int):
    app, _ = app_with(FakeClient())
    lines = [(b"content-type", b"application/json"), (b"content-length", length)]
    await app(scope(headers=lines), (client := Client(b"")).receive, client.send)
    assert client.status == status
    await app.close()


async def test_a_defect_is_an_error_that_tells_nothing(caplog: pytest.LogCaptureFixture):
    app, source = app_with(FakeClient(RuntimeError("secret detail")))
    await app(scope(), (client := Client(chat())).receive, client.send)
    assert client.status == 500
    assert orjson.loads(client.body)["error"]["code"] == "internal_error"
    assert b"secret" not in client.body
    assert "secret detail" in caplog.text
    await app.close()
    assert source.in_use == 0


async def test_anthropics_paths_have_anthropics_errors():
    app, _ = app_with(FakeClient())
    await app(scope("/v1/messages"), (client := Client(b"{}")).receive, client.send)
    body = orjson.loads(client.body)
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    await app.close()


async def test_the_log_of_a_request_holds_neither_prompt_nor_key(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="penstock.gateway.access")
    app, _ = app_with(FakeClient(FakeAnswer([b"ok"])))
    lines = [(b"content-type", b"application/json"), (b"authorization", b"Bearer s3cret"), (b"x-request-id", b"abc")]
    await app(scope(headers=lines), (client := Client(chat())).receive, client.send)
    record = next(record for record in caplog.records if record.name == "penstock.gateway.access")
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["request_id"], fields["model"], fields["status"], fields["bytes"]) == ("abc", "demo", 200, 2)
    assert "s3cret" not in str(vars(record))
    assert "Hello" not in str(vars(record))
    await app.close()


async def test_lifespan_and_websockets_are_answered():
    app, _ = app_with(FakeClient())
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    await app({"type": "websocket"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
    await app.close()
