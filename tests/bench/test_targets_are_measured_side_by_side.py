"""Whole runs against small servers of a known pace on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
import uvloop

from penstock.bench import Plan, Progress, Target, run_bench
from penstock.bench.client import Stream
from penstock.bench.load import run_slot
from penstock.errors import DocumentError, NotRunningError

pytestmark = pytest.mark.integration

Answer = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def part(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(value: Any) -> bytes:
    return part(b"data: " + (value if isinstance(value, bytes) else orjson.dumps(value)) + b"\n\n")


def word(text: str = "a ") -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}}]})


class Server:
    """Answers every POST by `answer`; keeps what it was sent."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[tuple[bytes, dict[str, Any]]] = []
        self.address = ""
        self.answered = asyncio.Event()
        self.closed_by_client = asyncio.Event()
        self.handlers: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        handler = asyncio.current_task()
        assert handler is not None
        self.handlers.add(handler)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except (ConnectionError, asyncio.IncompleteReadError):
                    self.closed_by_client.set()
                    raise
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = orjson.loads(await reader.readexactly(length))
                self.requests.append((head, body))
                await self.answer(body, writer)
                self.answered.set()


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    async with listener:
        yield server
    for handler in server.handlers:
        handler.cancel()
    await asyncio.gather(*server.handlers, return_exceptions=True)


def paced(first: float = 0.0, gap: float = 0.0, *, usage: bool = True) -> Answer:
    async def answer(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}))
        await asyncio.sleep(first)
        for index in range(body["max_tokens"]):
            if index:
                await asyncio.sleep(gap)
            writer.write(word())
        if usage:
            writer.write(event({"choices": [], "usage": {"completion_tokens": body["max_tokens"]}}))
        writer.write(event(b"[DONE]") + b"0\r\n\r\n")
        await writer.drain()

    return answer


def ignore(_: Progress) -> None:
    return None


async def test_the_pace_that_a_server_keeps_is_the_pace_that_is_measured() -> None:
    async with serving(paced(0.05, 0.01)) as server:
        target = Target("paced", server.address, "demo")
        slot = await run_slot(target, Plan(max_tokens=5, least_requests=4), 2, 0)
    assert (slot.requests, slot.tokens, slot.errors) == (4, 20, {})
    assert len(slot.first_token) == 4
    assert len(slot.gaps) == 16
    assert all(seconds >= 0.049 for seconds in slot.first_token)
    assert sum(slot.gaps) / 16 >= 0.0095
    assert slot.seconds >= 2 * (0.05 + 4 * 0.01) - 0.01
    assert slot.tokens_per_second == pytest.approx(20 / slot.seconds)


async def test_the_slower_of_two_targets_is_seen_to_be_slower() -> None:
    plan = Plan(concurrencies=(1, 2), rounds=7, least_requests=2, max_tokens=3)
    seen: list[Progress] = []
    async with serving(paced(0.0)) as fast, serving(paced(0.06)) as slow:
        targets = [
            Target("fast", fast.address, "demo"),
            Target("slow", slow.address, "demo", pids={"own": [os.getpid()]}),
        ]
        result = await run_bench(plan, targets, on_progress=seen.append)
    assert len(result.slots) == 7 * 2 * 2
    assert [progress.done for progress in seen] == list(range(1, 33))
    assert {progress.total for progress in seen} == {32}
    assert [progress.warm_up for progress in seen] == [True] * 4 + [False] * 28
    assert [slot.round for slot in result.slots[::4]] == list(range(7))
    for comparison in result.comparisons:
        assert comparison.target == "slow"
        # Far from the true figures, so that a busy machine does not matter.
        assert comparison.throughput.median < 0.9
        assert comparison.first_token.median > 0.02
        assert comparison.throughput.size == 7
    assert {slot.target for slot in result.slots if "own" in slot.cpu} == {"slow"}
    assert all("client" in slot.cpu for slot in result.slots)


def test_it_runs_on_uvloop_as_well() -> None:
    async def run() -> None:
        async with serving(paced()) as server:
            plan = Plan(concurrencies=(2,), rounds=1, warm_up=0, max_tokens=2)
            result = await run_bench(plan, [Target("demo", server.address, "demo")], on_progress=ignore)
        assert result.summaries[0].errors == {}

    uvloop.run(run())


async def test_streams_keep_their_connections_and_say_who_they_are() -> None:
    async with serving(paced()) as server:
        target = Target("demo", server.address, "the-model", api_key="key")
        await run_slot(target, Plan(max_tokens=2, least_requests=12), 3, 0)
    assert server.connections == 3
    assert len(server.requests) == 12
    head, body = server.requests[0]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer key\r\n" in head
    assert (body["model"], body["stream"], body["ignore_eos"]) == ("the-model", True, True)


async def test_without_usage_the_events_are_counted() -> None:
    async with serving(paced(usage=False)) as server:
        plan = Plan(max_tokens=7, least_requests=1, endpoint="completions")
        slot = await run_slot(Target("demo", server.address, "demo"), plan, 1, 0)
    assert slot.tokens == 2 * 7
    assert server.requests[0][0].startswith(b"POST /v1/completions ")


async def refuse(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}")


async def error_event(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + word() + event({"error": {"message": "gone"}}) + b"0\r\n\r\n")


async def cut(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + word() + word())
    await writer.drain()
    writer.close()


async def end_without_done(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + word() + b"0\r\n\r\n")


async def hang_up(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.close()


async def nonsense(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(b"this is no HTTP\r\n\r\n")


async def no_text(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + event(b"[DONE]") + b"0\r\n\r\n")


async def silence(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + word())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse, "HTTP 503"),
        (error_event, "error event"),
        (cut, "cut stream"),
        (end_without_done, "cut stream"),
        (hang_up, "no answer"),
        (nonsense, "no answer"),
        (no_text, "empty answer"),
        (silence, "timeout"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_every_failure_is_counted_by_its_kind_and_the_stream_goes_on(answer: Answer, kind: str) -> None:
    count = 0

    async def now_and_then(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await (answer if count % 2 else paced())(body, writer)

    async with serving(now_and_then) as server:
        plan = Plan(max_tokens=2, least_requests=6, timeout=2.0)
        slot = await run_slot(Target("demo", server.address, "demo"), plan, 1, 0)
    assert slot.errors == {kind: 3}
    assert slot.requests == 6
    assert len(slot.first_token) == 3, "the times of failed requests are left out"


async def test_a_run_against_nobody_ends_at_once_and_says_so() -> None:
    async with serving(paced()) as server:
        address = server.address
    with pytest.raises(NotRunningError, match="answered none of 8 requests: no connection"):
        await run_bench(Plan(), [Target("demo", address, "demo")], on_progress=ignore)


@pytest.mark.parametrize("names", [[], ["one", "one"]])
async def test_targets_need_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(DocumentError, match="targets"):
        await run_bench(Plan(), [Target(name, "http://127.0.0.1:1/v1", "demo") for name in names], on_progress=ignore)


async def test_a_cancelled_run_leaves_no_connection() -> None:
    async with serving(silence) as server, asyncio.timeout(60):
        run = asyncio.create_task(run_slot(Target("demo", server.address, "demo"), Plan(), 1, 0))
        await server.answered.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await server.closed_by_client.wait()


async def test_bytes_that_nobody_asked_for_cost_the_connection_and_no_more() -> None:
    async def too_much(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await paced()(body, writer)
        await asyncio.sleep(0.02)
        writer.write(b"more")

    async with (
        serving(too_much) as server,
        Stream(Target("demo", server.address, "demo"), Plan(max_tokens=2)) as stream,
    ):
        first = await stream.send()
        await server.closed_by_client.wait()
        second = await stream.send()
    assert (first.error, second.error) == (None, None)
    assert server.connections == 2


async def test_the_client_costs_little() -> None:
    """A token costs the client well under a tenth of what a server spends on it (vLLM here: 0.4 ms and more)."""
    async with serving(paced()) as server:
        target, plan = Target("demo", server.address, "demo"), Plan(max_tokens=64, least_requests=200)
        begin = time.process_time()
        slot = await run_slot(target, plan, 8, 0)
        used = time.process_time() - begin
    # The server of this test is in the figure, too.
    assert slot.errors == {}
    assert used / slot.tokens < 0.003
