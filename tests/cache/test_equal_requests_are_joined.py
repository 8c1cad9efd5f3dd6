"""Equal requests that are in flight wait for one answer, and none of them depends on another's client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from penstock import config
from penstock.config import AnswerCache
from penstock.gateway.app import GatewayApp
from penstock.gateway.cache.flight import WINDOW
from penstock.gateway.call import Message
from penstock.gateway.catalog import Catalog, ModelEntry, ModelState
from penstock.gateway.engine_connection import EngineBrokeError, Sink
from penstock.gateway.headers import Header
from penstock.gateway.leases import Replica, StaticSource
from support.gateways import chat, connected, eventually, post, running_gateway, stalls, streams

BODY = chat(temperature=0, stream=True)
DONE = b"data: [DONE]\n\n"


class Answer:
    """An engine's: bytes, events that are waited for, exceptions that are raised."""

    def __init__(self, *pieces: Any, status: int = 200) -> None:
        self.status = status
        kind = b"text/event-stream" if status == 200 else b"application/json"
        self.headers: list[Header] = [(b"content-type", kind)]
        self.closed = False
        self.read_so_far = 0
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        while self._pieces:
            piece = self._pieces.pop(0)
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            elif isinstance(piece, Exception):
                raise piece
            else:
                self.read_so_far += len(piece)
                return bytes(piece)
        return b""

    async def hand_on(self, sink: Sink) -> None:
        raise AssertionError("an answer that others may join is read piece by piece")

    def close(self) -> None:
        self.closed = True


class Engine:
    """Gives its answers in turn, and counts how often it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def send(self, replica: Replica, path: str, headers: list[Header], body: bytes) -> Answer:
        self.asked += 1
        return self.answers.pop(0)

    async def close(self) -> None:
        pass


class Client:
    """The other side of ASGI. Takes nothing more while `takes` is not set."""

    def __init__(self, body: bytes = BODY) -> None:
        self._body: bytes | None = body
        self.left = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.got: list[Message] = []
        self.task: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.got.append(message)

    def ask(self, app: GatewayApp) -> Client:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
        }
        self.task = asyncio.create_task(app(scope, self.receive, self.send))
        return self

    @property
    def word(self) -> bytes | None:
        return dict(self.got[0]["headers"]).get(b"x-penstock-cache")

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])

    @property
    def whole(self) -> bool:
        return bool(self.got) and not self.got[-1].get("more_body", True)


def app_before(engine: Engine, *, state: ModelState | None = None, **settings: Any) -> tuple[GatewayApp, StaticSource]:
    source = StaticSource([Replica(f"r{number}", f"http://r{number}", "t") for number in range(4)])
    model = ModelEntry("demo", cache=AnswerCache(), state=state or ModelState())
    return GatewayApp(
        config.Gateway.model_validate(settings), Catalog([model]), lambda _: source, client=engine
    ), source


async def over(*clients: Client) -> None:
    async with asyncio.timeout(60):
        for client in clients:
            assert client.task is not None
            await client.task


async def crowd(app: GatewayApp, number: int) -> list[Client]:
    """So many clients, all of which wait for the one answer that is on its way."""
    clients = [Client().ask(app) for _ in range(number)]
    flights = app._cache._flights
    await eventually(lambda: any(len(flight._readers) == number for flight in flights.values()))
    return clients


async def closed(app: GatewayApp, source: StaticSource) -> None:
    assert not app._cache._flights
    await app.close()
    assert source.in_use == 0


async def test_a_thousand_equal_requests_at_once_are_one_of_the_engine() -> None:
    app, source = app_before(engine := Engine(Answer(go := asyncio.Event(), b"data: 1\n\n", DONE)))
    clients = await crowd(app, 1000)
    go.set()
    await over(*clients)
    assert engine.asked == 1
    assert {client.body for client in clients} == {b"data: 1\n\n" + DONE}
    assert all(client.whole and client.status == 200 for client in clients)
    assert sorted(client.word or b"" for client in clients) == [b"joined"] * 999 + [b"miss"]
    after = Client().ask(app)
    await over(after)
    assert (after.word, after.body) == (b"hit", clients[0].body)
    text = app.metrics.text().decode()
    assert 'penstock_gateway_cache_requests_total{model="demo",outcome="joined"} 999.0' in text
    await closed(app, source)


async def test_who_comes_in_the_middle_gets_the_beginning_too() -> None:
    app, source = app_before(Engine(Answer(b"data: 1\n\n", go := asyncio.Event(), b"data: 2\n\n", DONE)))
    first = Client().ask(app)
    await eventually(lambda: first.body == b"data: 1\n\n")
    late = Client().ask(app)
    await eventually(lambda: late.body == b"data: 1\n\n")
    go.set()
    await over(first, late)
    assert first.body == late.body == b"data: 1\n\ndata: 2\n\n" + DONE
    await closed(app, source)


@pytest.mark.parametrize("begun", [False, True])
async def test_the_first_client_may_leave_and_the_others_get_their_answer(begun: bool) -> None:
    before = [b"data: 1\n\n"] if begun else []
    app, source = app_before(engine := Engine(Answer(*before, go := asyncio.Event(), b"data: 2\n\n", DONE)))
    first, *others = clients = await crowd(app, 3)
    if begun:
        await eventually(lambda: all(client.body for client in clients))
    first.left.set()
    await over(first)
    go.set()
    await over(*others)
    assert all(client.body == b"".join(before) + b"data: 2\n\n" + DONE and client.whole for client in others)
    assert not first.whole
    assert engine.asked == 1
    text = app.metrics.text().decode()
    assert 'status="499"} 1.0' in text
    after = Client().ask(app)
    await over(after)
    assert after.word == b"hit"
    await closed(app, source)


async def test_one_that_joined_may_leave_and_disturbs_nobody() -> None:
    app, source = app_before(Engine(Answer(go := asyncio.Event(), b"data: 1\n\n", DONE)))
    first, second, third = await crowd(app, 3)
    second.left.set()
    await over(second)
    go.set()
    await over(first, third)
    assert first.whole
    assert third.whole
    assert second.got == []
    await closed(app, source)


async def test_when_all_have_left_the_engine_stops_and_nothing_is_kept() -> None:
    app, source = app_before(
        engine := Engine(answer := Answer(b"data: 1\n\n", asyncio.Event()), Answer(b"data: 9\n\n", DONE))
    )
    clients = await crowd(app, 3)
    for client in clients:
        client.left.set()
    await over(*clients)
    assert answer.closed
    again = Client().ask(app)
    await over(again)
    assert (again.word, again.body) == (b"miss", b"data: 9\n\n" + DONE)
    assert engine.asked == 2
    await closed(app, source)


async def test_those_whose_leader_failed_before_the_first_byte_try_for_themselves() -> None:
    failed = [EngineBrokeError("died", "x"), EngineBrokeError("died", "x")]
    answers = [
        Answer(go := asyncio.Event(), failed[0]),
        Answer(failed[1]),
        Answer(b"data: 1\n\n", DONE),
        Answer(b"data: 2\n\n", DONE),
    ]
    app, source = app_before(engine := Engine(*answers))
    first, second, third = clients = await crowd(app, 3)
    go.set()
    await over(*clients)
    assert first.status == 502
    assert {second.body, third.body} == {b"data: 1\n\n" + DONE, b"data: 2\n\n" + DONE}
    assert second.word == third.word == b"miss"
    assert engine.asked == 4
    await closed(app, source)


async def test_an_engines_own_failure_is_the_leaders_alone_and_a_fault_of_the_request_everybodys() -> None:
    error = b'{"error":{"message":"no"}}'
    for status, asked in ((500, 3), (400, 1)):
        answers = [Answer(go := asyncio.Event(), error, status=status)]
        answers += [Answer(error, status=status), Answer(error, status=status)]
        app, source = app_before(engine := Engine(*answers))
        clients = await crowd(app, 3)
        go.set()
        await over(*clients)
        assert [(client.status, client.body) for client in clients] == [(status, error)] * 3
        assert engine.asked == asked
        await closed(app, source)


async def test_a_stream_that_breaks_in_the_middle_is_cut_for_everybody() -> None:
    app, source = app_before(Engine(Answer(go := asyncio.Event(), b"data: 1\n\n", EngineBrokeError("died", "x"))))
    clients = await crowd(app, 3)
    go.set()
    await over(*clients)
    for client in clients:
        assert b"engine_stream_interrupted" in client.body
        assert not client.whole
    await closed(app, source)


async def test_a_defect_is_told_to_the_first_and_the_others_try_for_themselves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, source = app_before(
        Engine(Answer(go := asyncio.Event(), RuntimeError("secret detail")), Answer(b"data: 1\n\n", DONE))
    )
    first, second = clients = await crowd(app, 2)
    go.set()
    await over(*clients)
    assert first.status == 500
    assert b"secret" not in first.body
    assert "secret detail" in caplog.text
    assert second.body == b"data: 1\n\n" + DONE
    await closed(app, source)


async def test_a_model_that_sleeps_is_asked_once_and_what_it_says_is_not_kept() -> None:
    """Which weights will answer is not known while no replica is there."""
    answers = (Answer(go := asyncio.Event(), b"data: 1\n\n", DONE), Answer(b"data: 2\n\n", DONE))
    app, source = app_before(engine := Engine(*answers), state=ModelState(known=True))
    clients = await crowd(app, 3)
    go.set()
    await over(*clients)
    assert engine.asked == 1
    after = Client().ask(app)
    await over(after)
    assert after.body == b"data: 2\n\n" + DONE
    await closed(app, source)


async def test_a_slow_client_holds_up_neither_the_engine_nor_the_others() -> None:
    piece = b"data: %b\n\n" % (b"x" * 1000)
    number = 4 * WINDOW // len(piece)
    app, source = app_before(Engine(Answer(go := asyncio.Event(), *[piece] * number, DONE)), cache={"largest": 10_000})
    slow, fast = clients = await crowd(app, 2)
    slow.takes.clear()
    go.set()
    await over(fast)
    assert fast.body == piece * number + DONE
    slow.takes.set()
    await over(*clients)
    assert slow.body == fast.body
    await closed(app, source)


async def test_an_engine_is_not_let_run_far_ahead_of_all_its_clients() -> None:
    piece = b"data: %b\n\n" % (b"x" * 1000)
    number = 4 * WINDOW // len(piece)
    answer = Answer(go := asyncio.Event(), *[piece] * number, DONE)
    app, source = app_before(Engine(answer), cache={"largest": 10_000})
    (slow,) = await crowd(app, 1)
    slow.takes.clear()
    go.set()
    await eventually(lambda: answer.read_so_far > WINDOW)
    for _ in range(100):
        await asyncio.sleep(0)
    assert answer.read_so_far <= WINDOW + 2 * len(piece)
    slow.takes.set()
    await over(slow)
    assert slow.body == piece * number + DONE
    await closed(app, source)


async def test_streams_that_wait_get_signs_of_life_of_their_own() -> None:
    app, source = app_before(Engine(Answer(go := asyncio.Event(), b"data: 1\n\n", DONE)), hold={"heartbeat": "20ms"})
    clients = await crowd(app, 2)
    await eventually(lambda: all(client.body.startswith(b": waiting") for client in clients))
    go.set()
    await over(*clients)
    for client in clients:
        assert client.body.endswith(b"data: 1\n\n" + DONE)
        assert client.whole
    after = Client().ask(app)
    await over(after)
    assert after.body == b"data: 1\n\n" + DONE, "what keeps a stream alive is not kept"
    await closed(app, source)


async def test_a_gateway_that_stops_says_so_in_the_streams_of_all() -> None:
    app, source = app_before(Engine(Answer(b"data: 1\n\n", asyncio.Event())))
    clients = await crowd(app, 2)
    await eventually(lambda: all(client.body for client in clients))
    tasks: list[Awaitable[None]] = []
    for client in clients:
        assert client.task is not None
        client.task.cancel()
        tasks.append(client.task)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(b"shutting_down" in client.body and not client.whole for client in clients)
    await closed(app, source)


async def test_over_real_sockets_too() -> None:
    last = asyncio.Event()
    models = [ModelEntry("demo", cache=AnswerCache())]
    async with running_gateway(streams(2, wait=last), models=models) as gateway:
        async with connected(gateway) as first, connected(gateway) as second:
            for client in (first, second):
                await client.send(post(BODY))
                await client.head()
            first.writer.transport.abort()
            await eventually(lambda: gateway.listener.connections == 1)
            last.set()
            rest = await second.reader.readuntil(b"0\r\n\r\n")
        assert rest.endswith(DONE + b"\r\n0\r\n\r\n")
        assert len(gateway.engine.seen) == 1


async def test_the_last_client_that_leaves_frees_the_engine() -> None:
    async with running_gateway(stalls, models=[ModelEntry("demo", cache=AnswerCache())]) as gateway:
        async with connected(gateway) as first, connected(gateway) as second:
            for client in (first, second):
                await client.send(post(BODY))
            await eventually(lambda: gateway.engine.in_progress == 1)
            flights = gateway.app._cache._flights
            await eventually(lambda: any(len(flight._readers) == 2 for flight in flights.values()))
        await eventually(lambda: gateway.engine.in_progress == 0)
        assert len(gateway.engine.seen) == 1
