"""Signs of life on a stream whose request still waits: comments, which clients of event streams skip. Used by `relay`.

The first one commits the answer to 200 and `text/event-stream`; an error after it is an event. Hence it is off unless
the document says `gateway.hold.heartbeat`, and only for requests that asked for a stream.
"""

from __future__ import annotations

import asyncio
from typing import Final

from penstock.gateway.call import Call

STREAMED: Final = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
"""Endpoints whose answers are streams of events where the request says `"stream": true`."""


class Heartbeat:
    """Of one request. Begins when it begins to wait for a replica.

    Args:
        call: the request.
        interval: seconds until the first comment, and between two.
    """

    def __init__(self, call: Call, interval: float) -> None:
        self._call = call
        self._interval = interval
        self._text = ""
        self._task: asyncio.Task[None] | None = None

    def wait(self) -> None:
        """The request waits for a replica from now on."""
        self._text = "waiting for a replica"
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._beat())

    def served(self) -> None:
        """A replica has the request. A client that has had no comment yet gets none: its request is not held."""
        self._text = "waiting for the first token"
        if not self._call.opened:
            self.stop()

    def stop(self) -> None:
        """No more comments."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._call.begun:
                return
            await self._call.reassure(self._text)
