"""Connections to engines, kept alive between requests. `EngineClient` is the seam that `relay` sends through."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol
from urllib.parse import urlsplit

from penstock.gateway.engine_connection import Answer, EngineBrokeError, EngineConnection, Sink
from penstock.gateway.headers import Header
from penstock.gateway.leases import Replica

KEEP = 3.0
"""Seconds that an unused connection is kept. Less than the 5 s after which vLLM closes it from its side."""


class EngineAnswer(Protocol):
    """An answer whose head has come."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> list[Header]: ...

    async def read(self) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its end. Raises EngineBrokeError."""

    async def hand_on(self, sink: Sink) -> None:
        """Give the rest of the body to `sink` as it comes; returns at its end. Raises EngineBrokeError."""

    def close(self) -> None:
        """Done with it. Cuts the connection unless the body was read to its end, which cancels the engine's work."""


class EngineClient(Protocol):
    """Sends requests to engines."""

    async def send(self, replica: Replica, path: str, headers: list[Header], body: bytes) -> EngineAnswer:
        """POST and wait for the head of the answer. `path` may hold a query. Raises EngineBrokeError."""

    async def close(self) -> None:
        """Close all connections."""


class HttpEngineClient:
    """Implements `EngineClient` with HTTP/1.1. Belongs to one event loop.

    Args:
        connect_timeout: seconds.
    """

    def __init__(self, connect_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._free: dict[str, deque[EngineConnection]] = {}
        self._where: dict[EngineConnection, str] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._none_left = asyncio.Event()

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._where)

    async def send(self, replica: Replica, path: str, headers: list[Header], body: bytes) -> Answer:
        """See `EngineClient`."""
        data = _request(replica.base_url, path, headers, body)
        died = False
        while True:
            try:
                connection = self._reuse(replica.base_url) or await self._connect(replica.base_url)
            except EngineBrokeError as error:
                if died:
                    # It had the request before it went, so it is not one that has seen nothing.
                    raise EngineBrokeError("died", f"the engine closed the connection, then {error}") from error
                raise
            used = connection.used
            answer = connection.send(data)
            try:
                await answer.head()
            except EngineBrokeError as error:
                # A kept connection may be closed by the engine at the moment it is used: that says nothing of it.
                if used and error.reason == "died":
                    died = True
                    continue
                raise
            except BaseException:
                answer.close()
                raise
            return answer

    async def close(self) -> None:
        """See `EngineClient`."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._where):
            connection.close()
        if self._where:
            self._none_left.clear()
            await self._none_left.wait()

    def _reuse(self, base_url: str) -> EngineConnection | None:
        free = self._free.get(base_url)
        now = asyncio.get_running_loop().time()
        while free:
            connection = free.pop()
            if connection.open and now - connection.free_since <= KEEP:
                return connection
            connection.close()
        return None

    async def _connect(self, base_url: str) -> EngineConnection:
        url = urlsplit(base_url)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: EngineConnection(self._freed, self._lost), url.hostname or "", url.port or 80
                )
        except TimeoutError as error:
            raise EngineBrokeError("connect_timeout", f"no connection within {self._connect_timeout:g} s") from error
        except OSError as error:
            raise EngineBrokeError("refused", error.strerror or repr(error)) from error
        self._where[connection] = base_url
        return connection

    def _freed(self, connection: EngineConnection) -> None:
        loop = asyncio.get_running_loop()
        connection.free_since = loop.time()
        self._free.setdefault(self._where[connection], deque()).append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(KEEP, self._sweep)

    def _lost(self, connection: EngineConnection) -> None:
        base_url = self._where.pop(connection, None)
        if not self._where:
            self._none_left.set()
        free = self._free.get(base_url or "")
        if free and connection in free:
            free.remove(connection)

    def _sweep(self) -> None:
        """Close what was not used for long, the oldest first, and forget engines that have no connections."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for base_url, free in list(self._free.items()):
            while free and now - free[0].free_since > KEEP:
                free.popleft().close()
            if not free:
                del self._free[base_url]
        self._sweeper = loop.call_later(KEEP, self._sweep) if self._free else None


def _request(base_url: str, path: str, headers: list[Header], body: bytes) -> bytes:
    host = base_url.partition("://")[2].partition("/")[0]
    lines = [b"POST ", path.encode("latin-1"), b" HTTP/1.1\r\nhost: ", host.encode(), b"\r\n"]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    return b"".join([*lines, b"\r\n", body])
