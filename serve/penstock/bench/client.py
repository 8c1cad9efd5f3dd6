"""A streaming HTTP client that costs next to nothing: one request at a time on one kept connection.

Written on asyncio's protocols and httptools rather than an SDK, since it shares its machine with what it measures.
`load` drives one of these per stream.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self, cast
from urllib.parse import urlsplit

import httptools
import orjson

from penstock.bench.events import EventScanner
from penstock.bench.plan import Plan, Target


@dataclass(frozen=True)
class Sent:
    """One finished request. Times are seconds of `time.perf_counter`."""

    start: float
    first: float | None
    """When the first text came; None if none came."""
    end: float
    gaps: list[float] = field(default_factory=list)
    """Seconds between one event with text and the next. Events that came in one piece are 0 apart."""
    tokens: int = 0
    """As the server says, or else the number of events with text."""
    error: str | None = None
    """Kind of failure; None for a whole answer."""


class Exchange:
    """One answer as it arrives: the callbacks of httptools' parser, and the times."""

    def __init__(self) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events = EventScanner()
        self.parser = httptools.HttpResponseParser(self)
        self.times: list[float] = []
        self.refusal: bytes | None = None
        self.keep_alive = False
        self.whole = False

    def on_headers_complete(self) -> None:
        if self.parser.get_status_code() != 200:
            self.refusal = b""

    def on_body(self, body: bytes) -> None:
        if self.refusal is not None:
            self.refusal += body[:500]
        elif completed := self.events.feed(body):
            self.times += [time.perf_counter()] * completed

    def on_message_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()
        self.whole = True
        self.settle()

    def settle(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def failure(self) -> str | None:
        """The kind of what went wrong, short enough to count by."""
        if self.refusal is not None:
            return f"HTTP {self.parser.get_status_code()}"
        if self.events.error is not None:
            return "error event"
        if not self.whole or not self.events.done:
            return "cut stream" if self.times else "no answer"
        return None if self.times else "empty answer"


class _Wire(asyncio.Protocol):
    """Bytes in: to the exchange under way. Bytes that nobody waits for close the connection."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transports have the methods, but not the ancestors.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:
            self.close()
            return
        try:
            self.exchange.parser.feed_data(data)
        except httptools.HttpParserError:
            self.exchange.whole = False
            self.close()

    def connection_lost(self, _error: Exception | None, /) -> None:
        self.transport = None
        if self.exchange is not None:
            self.exchange.settle()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        if self.exchange is not None:
            self.exchange.settle()


class Stream:
    """Sends the plan's request to a target, again and again. `async with` closes its connection."""

    def __init__(self, target: Target, plan: Plan) -> None:
        self._address = urlsplit(target.base_url)
        self._request = request_bytes(target, plan)
        self._timeout = plan.timeout
        self._wire: _Wire | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop()

    async def send(self) -> Sent:
        """One request to its end. Never raises for what the network or the server does."""
        start = time.perf_counter()
        exchange = Exchange()
        error: str | None
        try:
            async with asyncio.timeout(self._timeout):
                wire = await self._connected()
                wire.exchange = exchange
                assert wire.transport is not None
                wire.transport.write(self._request)
                await exchange.finished
            error = exchange.failure()
        except TimeoutError:
            error = "timeout"
        except OSError:
            error = "no connection"
        end = time.perf_counter()
        if error is not None or not exchange.keep_alive:
            self._drop()
        elif self._wire is not None:
            self._wire.exchange = None
        times = exchange.times
        return Sent(
            start=start,
            first=times[0] if times else None,
            end=end,
            gaps=[later - earlier for earlier, later in pairwise(times)],
            tokens=len(times) if exchange.events.tokens is None else exchange.events.tokens,
            error=error,
        )

    async def _connected(self) -> _Wire:
        if self._wire is not None and self._wire.transport is not None and not self._wire.transport.is_closing():
            return self._wire
        secure = self._address.scheme == "https"
        _, wire = await asyncio.get_running_loop().create_connection(
            _Wire,
            self._address.hostname or "",
            self._address.port or (443 if secure else 80),
            ssl=ssl.create_default_context() if secure else None,
        )
        self._wire = wire
        return wire

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire = None


def request_bytes(target: Target, plan: Plan) -> bytes:
    """The request as it goes on the wire, made once."""
    address = urlsplit(target.base_url)
    body = orjson.dumps(plan.body(target.model))
    path = address.path.rstrip("/") + ("/chat/completions" if plan.endpoint == "chat" else "/completions")
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {address.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {len(body)}",
    ]
    if target.api_key is not None:
        head.append(f"Authorization: Bearer {target.api_key}")
    return "\r\n".join([*head, "", ""]).encode() + body
