"""What the guard counts: requests that are whole, and of them those without a byte of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from penstock.in_flight import OPEN, UNANSWERED, InFlight

WHOLE = {"type": "http.request", "body": b"{}"}
PART = {"type": "http.request", "body": b"{", "more_body": True}
START = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
BYTES = {"type": "http.response.body", "body": b"x", "more_body": True}
EMPTY = {"type": "http.response.body", "body": b"", "more_body": True}


class _Request:
    """One request inside the server, moved on by the test step by step."""

    def __init__(self, flight: InFlight) -> None:
        self._steps: asyncio.Queue[Callable[[Any, Any], Awaitable[object]] | None] = asyncio.Queue()
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self._task = asyncio.ensure_future(flight.follow(self._app, {}, self._messages.get, self._send))

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    async def _app(self, _: Any, receive: Any, send: Any) -> None:
        while (step := await self._steps.get()) is not None:
            await step(receive, send)
            self._steps.task_done()

    async def reads(self, message: Any) -> None:
        self._messages.put_nowait(message)
        self._steps.put_nowait(lambda receive, _: receive())
        await self._steps.join()

    async def sends(self, message: Any) -> None:
        self._steps.put_nowait(lambda _, send: send(message))
        await self._steps.join()

    async def ends(self) -> None:
        self._steps.put_nowait(None)
        await self._task

    async def is_cancelled(self) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


def _counts(flight: InFlight) -> tuple[int, int]:
    return flight.open, flight.unanswered


async def test_a_request_counts_from_the_end_of_its_body_to_the_end_of_its_answer() -> None:
    flight = InFlight()
    request = _Request(flight)
    await request.reads(PART)
    assert _counts(flight) == (0, 0)
    await request.reads(WHOLE)
    assert _counts(flight) == (1, 1)
    await request.sends(START)
    await request.sends(EMPTY)
    assert _counts(flight) == (1, 1)
    await request.sends(BYTES)
    assert _counts(flight) == (1, 0)
    await request.sends(BYTES)
    await request.ends()
    assert _counts(flight) == (0, 0)
    assert request.sent == [START, EMPTY, BYTES, BYTES]


async def test_a_request_that_is_cancelled_without_an_answer_counts_no_longer() -> None:
    flight = InFlight()
    first, second = _Request(flight), _Request(flight)
    for request in (first, second):
        await request.reads(WHOLE)
    assert _counts(flight) == (2, 2)
    await first.is_cancelled()
    assert _counts(flight) == (1, 1)
    await second.is_cancelled()
    assert _counts(flight) == (0, 0)


async def test_an_answer_to_a_body_that_was_not_read_counts_for_nothing() -> None:
    flight = InFlight()
    request = _Request(flight)
    await request.sends(BYTES)
    assert _counts(flight) == (0, 0)
    await request.reads(WHOLE)
    assert _counts(flight) == (1, 0)
    await request.ends()
    assert _counts(flight) == (0, 0)


async def test_a_hang_up_after_the_body_is_no_second_request() -> None:
    flight = InFlight()
    request = _Request(flight)
    await request.reads(WHOLE)
    await request.reads(WHOLE)
    await request.reads({"type": "http.disconnect"})
    assert _counts(flight) == (1, 1)
    await request.ends()
    assert _counts(flight) == (0, 0)


async def test_the_counts_are_headers_beside_the_answers_own() -> None:
    flight = InFlight()
    request = _Request(flight)
    await request.reads(WHOLE)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for message in (START, BYTES):
        await flight.telling(send)(message)
    assert dict(sent[0]["headers"]) == {b"a": b"b", OPEN.encode(): b"1", UNANSWERED.encode(): b"1"}
    assert sent[1] == BYTES
    assert START["headers"] == [(b"a", b"b")]
    await request.ends()
