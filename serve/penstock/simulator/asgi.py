"""One HTTP request and its answer over plain ASGI. Used by the app and by every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_EVENTS = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
}


class ClientGoneError(Exception):
    """The client hung up before its request was whole. There is nobody to answer."""


class Exchange:
    """A request and the means to answer it, once."""

    __slots__ = ("_receive", "_send", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name, which is written in lower case."""
        for key, value in self.scope["headers"]:
            if key == name:
                return bytes(value)
        return None

    @property
    def request_id(self) -> bytes:
        """Under which the request can be stopped; empty where it cannot."""
        return self.header(b"x-request-id") or b""

    async def body(self) -> bytes:
        """The whole body. Raises ClientGoneError when the client hangs up before its end."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def gone(self) -> None:
        """Return when the client has hung up. Only to be called once the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def json(self, content: Any, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with JSON."""
        await self.whole(orjson.dumps(content), status=status, headers=[_JSON, *(headers or [])])

    async def whole(self, body: bytes, *, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with bytes of known length."""
        head = [(b"content-length", b"%d" % len(body)), *(headers or [])]
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    async def start_events(self) -> None:
        """Begin a stream of server-sent events."""
        await self._send(_EVENTS)

    async def events(self, data: bytes) -> None:
        """Send events that are encoded already, `data: …` and the empty line included."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_events(self, data: bytes = b"") -> None:
        """Send the last events and end the stream."""
        await self._send({"type": "http.response.body", "body": data})
