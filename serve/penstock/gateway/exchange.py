"""One request and its answer on a connection: the `receive` and `send` of ASGI. Made by `connection`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

from penstock.gateway.call import DIRECT, Message, Receive, Scope, Send
from penstock.gateway.errors import GatewayError
from penstock.gateway.headers import Header
from penstock.gateway.heads import status_line

logger = logging.getLogger(__name__)

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY: Final = (204, 304)


class Application(Protocol):
    """ASGI 3."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None: ...


class Channel(Protocol):
    """What an exchange needs of its connection."""

    @property
    def date(self) -> bytes:
        """The time, as a header wants it."""

    @property
    def draining(self) -> bool:
        """Whether the connection is closed after the answer."""

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send; the future is done when the client has room for more, None if it has now."""

    def body_taken(self) -> None:
        """The application took what there was of the body."""

    def answered(self, exchange: Exchange) -> None:
        """The answer is complete."""

    def cut(self) -> None:
        """The answer stays incomplete: close the connection once what was written is sent."""


class Exchange:
    """Belongs to one connection.

    Args:
        channel: the connection.
        scope: of ASGI.
        keep_alive: whether the connection may go on after the answer.
        expects_continue: whether the client waits to be asked for its body.
    """

    __slots__ = (
        "_body", "_channel", "_chunked", "_expects_continue", "_failure", "_head", "_left", "_size", "_taken_whole",
        "_wake", "body_complete", "complete", "gone", "keep_alive", "reading", "scope", "started",
    )  # fmt: skip

    def __init__(self, channel: Channel, scope: dict[str, Any], *, keep_alive: bool, expects_continue: bool) -> None:
        self.scope = {**scope, "extensions": {DIRECT: self.pass_on}}
        self.keep_alive = keep_alive
        self.body_complete = False
        self.reading = False
        """Whether the application waits for the body."""
        self.started = False
        self.complete = False
        self.gone = False
        """Whether the client has left."""
        self._channel = channel
        self._expects_continue = expects_continue
        self._failure: GatewayError | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._taken_whole = False
        self._wake: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = False
        self._left: int | None = None
        """Bytes that the answer's content-length still promises."""

    @property
    def buffered(self) -> int:
        """Bytes of the body that the application has not taken yet."""
        return self._size

    # From the connection

    def feed(self, data: bytes) -> None:
        """Bytes of the body; dropped once the answer is complete."""
        if not self.complete:
            self._body.append(data)
            self._size += len(data)
            self._rouse()

    def feed_end(self) -> None:
        """The body is whole."""
        self.body_complete = True
        self._rouse()

    def fail(self, error: GatewayError) -> None:
        """The rest of the body will not come. The application learns it where it waits for it, and answers."""
        self._failure = error
        self.keep_alive = False
        self._rouse()

    def leave(self) -> None:
        """The client has left."""
        self.gone = True
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self, app: Application) -> None:
        """Let the application answer. Whatever it does, the connection is not left in the middle of an answer."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            logger.exception("the application failed")
        finally:
            if not self.complete:
                self._channel.cut()

    # ASGI

    async def receive(self) -> Message:
        """As in ASGI. Raises what `fail` was given instead of the rest of a body that will not come."""
        if self._taken_whole:
            while not (self.gone or self.complete):
                await self._woken()
            return {"type": "http.disconnect"}
        if self._expects_continue and not self._size and not self.body_complete:
            self._expects_continue = False
            self._channel.write(_CONTINUE)
        while not (self._size or self.body_complete or self.gone or self._failure):
            self.reading = True
            await self._woken()
        self.reading = False
        if self.gone:
            return {"type": "http.disconnect"}
        if self._failure is not None:
            raise self._failure
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._size = 0
        self._taken_whole = self.body_complete
        self._channel.body_taken()
        return {"type": "http.request", "body": body, "more_body": not self._taken_whole}

    async def _woken(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake

    def pass_on(self, body: bytes) -> asyncio.Future[None] | None:
        """`send` of bytes that are not the last, without a task: a fifth of its cost. An extension of ASGI of our own.

        Returns a future that is done when the client has room for more, None if it has now.
        """
        return None if self.gone else self._channel.write(self._framed(body, more=True))

    async def send(self, message: Message) -> None:
        """As in ASGI. Without effect once the client has left."""
        if self.gone:
            return
        if message["type"] == "http.response.start":
            self._head = self._start(message["status"], message["headers"])
            self.started = True
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        room = self._channel.write(self._framed(body, more=more))
        if more:
            if room is not None:
                await room
        elif self._left:
            # Shorter than its content-length: only a closed connection tells the client.
            self._channel.cut()
        else:
            self.complete = True
            self._channel.answered(self)
            self._rouse()

    def _start(self, status: int, headers: list[Header]) -> bytes:
        lines = [status_line(status), b"date: ", self._channel.date, b"\r\n"]
        closing = False
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection":
                closing = closing or value == b"close"
                continue
            lines += (name, b": ", value, b"\r\n")
        if status in _WITHOUT_BODY or self.scope["method"] == "HEAD":
            self._left = 0
        elif self._left is None:
            self._chunked = self.scope["http_version"] == "1.1"
            # The end of the connection is the end of the body to HTTP/1.0.
            closing = closing or not self._chunked
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if closing or not self.body_complete or self._channel.draining:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        head, self._head = self._head, b""
        if self._chunked:
            end = b"" if more else b"0\r\n\r\n"
            if body:
                return b"%b%x\r\n%b\r\n%b" % (head, len(body), body, end)
            return head + end
        if self._left is not None:
            body = body[: self._left]
            self._left -= len(body)
        return head + body if head else body
