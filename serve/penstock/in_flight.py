"""Counts the requests inside an engine's HTTP server, so that one that accepts and never answers can be told from an
idle one. Used by the guard that vLLM loads and by the simulator; read by the replica's watchdog.

The engine's own gauges do not tell: they are renewed by the step of the engine that hangs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = "x-penstock-requests-open"
"""Header of `/metrics`: requests that arrived whole and whose answer has not ended."""
UNANSWERED = "x-penstock-requests-unanswered"
"""Header of `/metrics`: those of them without a byte of an answer. A client that reads slowly is not among them, nor
one that sends slowly."""


class InFlight:
    """The counts of one server. Belongs to its event loop."""

    def __init__(self) -> None:
        self.open = 0
        self.unanswered = 0

    async def follow(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer one request, and count it while it does. One whose body the app does not read counts for
        nothing."""
        entered = answered = False

        async def receiving() -> Message:
            nonlocal entered
            message = await receive()
            if not entered and message["type"] == "http.request" and not message.get("more_body"):
                entered = True
                self.open += 1
                self.unanswered += not answered
            return message

        async def sending(message: Message) -> None:
            nonlocal answered
            if not answered and message["type"] == "http.response.body" and message.get("body"):
                answered = True
                self.unanswered -= entered
            await send(message)

        try:
            await app(scope, receiving, sending)
        finally:
            self.open -= entered
            self.unanswered -= entered and not answered

    def telling(self, send: Send) -> Send:
        """For the answer that tells of the counts: `send`, with the two headers on it."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                counts = [(OPEN.encode(), b"%d" % self.open), (UNANSWERED.encode(), b"%d" % self.unanswered)]
                message = {**message, "headers": [*message.get("headers", ()), *counts]}
            await send(message)

        return sending
