"""One request on its way through the gateway: its ASGI channel, its answer so far, and what is noted of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from penstock.accounts.account import Account
from penstock.gateway.answers import body_event, comment, error_body, error_event, error_headers
from penstock.gateway.errors import BadRequestError, GatewayError, TooLargeError
from penstock.gateway.headers import HELD, REQUEST_ID, Header, first, request_id
from penstock.gateway.metrics import NO_MODEL
from penstock.gateway.routes import dialect_of
from penstock.gateway.turns import Line
from penstock.gateway.usage import Usage
from penstock.gateway.waiting import MOMENT, NOBODY

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DIRECT = "penstock.direct"
"""The extension of ASGI by which our own listener takes bytes of an answer at once."""

UNKNOWN_ENDPOINT = "other"
EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
"""The head of a stream that begins before an engine's answer does."""

CLIENT_GONE = 499
"""The status in metrics and logs of a request whose client left before the answer's end; nginx' number for it."""


class ClientGoneError(Exception):
    """The client left while its request was read."""


class Call:
    """What one request and its answer are made of.

    Args:
        scope, receive, send: as in ASGI.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or self.path.encode("utf-8", "surrogateescape")
        self.query: bytes = scope.get("query_string", b"")
        self.headers: list[Header] = list(scope["headers"])
        self.request_id = request_id(self.headers)
        self.dialect = dialect_of(self.path)
        self.account: Account | None = None
        """Whose request it is; None where nobody is asked, or not yet."""
        self.line: Line = NOBODY
        """With whom it stands in line for a replica."""
        self.model = NO_MODEL
        self.answered_by = ""
        """The provider's model that answered in place of `model`, and that its tokens are paid for; empty where none
        did."""
        self.provider = ""
        """The provider that the request went to; empty where it stayed here."""
        self.fallback = ""
        """Why it went there, where `model` is one of our own."""
        self.endpoint = UNKNOWN_ENDPOINT
        self.cache: Literal["", "hit", "miss", "joined"] = ""
        """What the cache had for it; empty where it was not asked."""
        self.attempts = 0
        self.common: list[Header] = [(REQUEST_ID, self.request_id)]
        """Header lines of whatever answer is given."""
        self.status = 0
        """0 until a head was sent. That of an error told in a stream is the error's."""
        self.opened = False
        """Whether the client has the head of a stream, and comments, but nothing of an answer."""
        self.held = 0.0
        """Seconds that the request waited for replicas."""
        self.sent = 0
        """Bytes of the answer's body."""
        self.first_byte: float | None = None
        """When the answer began, on the clock of `began`."""
        self.complete = False
        self.client_gone = False
        self.error_code: str | None = None
        self.usage: Usage | None = None
        """Tokens that the engine counted, once its answer is over; None where it counted none. Settled also where the
        client has left, before the request's task ends."""
        self.pass_on: Callable[[bytes], asyncio.Future[None] | None] | None = (scope.get("extensions") or {}).get(
            DIRECT
        )
        self.receive = receive
        self._send = send

    @property
    def begun(self) -> bool:
        """Whether the client has something of an answer: then no other replica can be tried."""
        return self.status != 0 and not self.opened

    @property
    def held_ms(self) -> int | None:
        """Milliseconds that the request was held; None where it waited no longer than a lease takes."""
        return round(self.held * 1000) if self.held > MOMENT else None

    async def read_body(self, limit: int) -> bytes:
        """The whole body. Raises TooLargeError as soon as it is known to be, ClientGoneError if the client leaves."""
        self._check_declared(limit)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > limit:
                raise self._too_large(limit)
            return body
        parts, size = [body], len(body)
        while message.get("more_body", False):
            if size > limit:
                raise self._too_large(limit)
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(part := message.get("body", b""))
            size += len(part)
        if size > limit:
            raise self._too_large(limit)
        return b"".join(parts)

    def _check_declared(self, limit: int) -> None:
        if (declared := first(self.headers, b"content-length")) is None:
            return
        if not declared.isdigit():
            raise BadRequestError(f"content-length is {declared[:50].decode('latin-1')!r}; it is a number of bytes.")
        if len(declared) > 18 or int(declared) > limit:
            raise self._too_large(limit)

    @staticmethod
    def _too_large(limit: int) -> TooLargeError:
        return TooLargeError(
            f"The body is larger than {limit} bytes, which is as large as gateway.maxBodyBytes allows."
        )

    async def start(self, status: int, headers: list[Header]) -> None:
        """Begin the answer. Where a stream is open already, its head is sent."""
        self.first_byte = time.perf_counter()
        self.status = status
        if self.opened:
            self.opened = False
            if (held := self.held_ms) is not None:
                await self.write(comment(f"{HELD.decode()}: {held}"))
            return
        if (held := self.held_ms) is not None:
            headers = [*headers, (HELD, b"%d" % held)]
        await self._send_head(status, headers)

    async def reassure(self, text: str) -> None:
        """Open a stream for an answer that is still to come, or show that it is waited for. A comment, no event."""
        if self.status == 0:
            self.status, self.opened = 200, True
            await self._send_head(200, EVENTS)
        await self.write(comment(text))

    async def _send_head(self, status: int, headers: list[Header]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers + self.common})

    async def write(self, chunk: bytes) -> None:
        """Pass bytes of the answer on. Returns when the client has room for more."""
        self.sent += len(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, chunk: bytes = b"") -> None:
        """The last bytes of the answer."""
        self.sent += len(chunk)
        self.complete = True
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def respond(self, status: int, headers: list[Header], body: bytes = b"") -> None:
        """A whole answer. In a stream that is open already it is an error, told as an event, and the stream is cut."""
        opened = self.opened
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        if opened:
            await self.write(body_event(body, self.dialect))
        else:
            await self.finish(body)

    async def fail(self, error: GatewayError) -> None:
        """Answer with an error, or end a stream that has begun with one; the connection is cut after that."""
        self.error_code = error.code
        if not self.begun:
            await self.respond(error.status, error_headers(error), error_body(error, self.dialect))

    async def break_off(self, error: GatewayError, *, after: bytes) -> None:
        """End a stream of events with an error. It is not completed, so that every client sees that it is cut."""
        self.error_code = error.code
        await self.write(error_event(error, self.dialect, after=after))
