"""The gateway's own listening socket and its connections. Started by the gateway's deployment, and by tests.

How it stops: every answer says that its connection ends, quiet connections are closed, and new ones are still taken for
a pause, in which balancers learn of it → the kernel gives it no more → those that wait are taken → answers may end
within the grace → the rest is cut.
"""

from __future__ import annotations

import asyncio
import socket
from email.utils import formatdate

from penstock import config
from penstock.gateway.connection import Connection
from penstock.gateway.exchange import Application, Exchange
from penstock.gateway.sockets import bind, refuse_newcomers, take_waiting

BACKLOG = 2048

SPARE = 64
"""Connections over the limit that are told so; beyond them they are just closed."""

SETTLE = 0.05
"""Seconds between the last connection that the kernel begins for this listener and its end: a handshake takes a round
trip. A client that knocks meanwhile knocks again after a second, by the rules of TCP, and another listener of the port
hears it."""

_CHECK_EVERY = 0.25
"""Seconds between looks at all connections; time limits are kept this exactly."""


class Listener:
    """An address that an application answers on. Belongs to the event loop that starts it.

    Args:
        app: ASGI 3.
        settings: the document's `gateway`.
        port: instead of the one of the settings; 0 picks a free one.
        shared: whether other processes of this machine listen on the same port; the kernel spreads connections.
    """

    def __init__(
        self, app: Application, settings: config.Gateway, *, port: int | None = None, shared: bool = False
    ) -> None:
        self.app = app
        self.settings = settings
        self.draining = False
        self.date = _now()
        self._port = settings.port if port is None else port
        self._shared = shared
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._dated_at = 0.0
        self._all_gone = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    @property
    def serving(self) -> bool:
        """Whether new connections are taken."""
        return self._server is not None and self._server.is_serving()

    async def start(self) -> None:
        """Listen. Raises MachineError where the port cannot be had."""
        loop = asyncio.get_running_loop()
        sock = bind(self.settings.host, self._port, shared=self._shared)
        self._port = sock.getsockname()[1]
        # The loop gets a copy, so that what waits in the socket can be taken after the loop has left it.
        self._socket = sock
        self._server = await loop.create_server(lambda: Connection(self), sock=sock.dup(), backlog=BACKLOG)
        self._tick()

    def drain(self) -> None:
        """Still accept, but close every connection after its next answer, or once it has been quiet for a second."""
        self.draining = True

    async def stop(self, grace: float, *, pause: float = 0.0) -> None:
        """Stop; returns when nothing is left.

        Args:
            grace: seconds that running answers get to end.
            pause: seconds for which new connections are still taken, while whoever sends clients here learns that it
                stops.
        """
        self.drain()
        if pause:
            await asyncio.sleep(pause)
        await self._close()
        if not await self._gone_within(grace):
            for connection in [connection for connection in self._connections if connection.idle]:
                connection.cut()
            for task in self._tasks:
                task.cancel()
            if not await self._gone_within(1.0):
                for connection in list(self._connections):
                    connection.abort()
                await self._gone_within(1.0)
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._ticker is not None:
            self._ticker.cancel()
        if self._server is not None:
            await self._server.wait_closed()

    async def _close(self) -> None:
        """Take no more connections. None that a client has is lost, where another listener has the port too."""
        listening, self._socket = self._socket, None
        if listening is None or self._server is None:
            return
        if self._shared and refuse_newcomers(listening):
            await asyncio.sleep(SETTLE)
        self._server.close()
        loop = asyncio.get_running_loop()
        for waiting in take_waiting(listening):
            await loop.connect_accepted_socket(lambda: Connection(self), waiting)
        listening.close()

    async def _gone_within(self, seconds: float) -> bool:
        if self._connections:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                return False
        return True

    # For connections

    def opened(self, connection: Connection) -> bool:
        """Count it; False where it is one too many."""
        self._connections.add(connection)
        if len(self._connections) > self.settings.max_connections + SPARE:
            connection.abort()
        return len(self._connections) <= self.settings.max_connections

    def closed(self, connection: Connection) -> None:
        """It is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    def run(self, exchange: Exchange) -> None:
        """Let the application answer a request."""
        task = asyncio.get_running_loop().create_task(exchange.run(self.app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._dated_at >= 1.0:
            self._dated_at = now
            self.date = _now()
        for connection in list(self._connections):
            connection.check(now)
        self._ticker = loop.call_later(_CHECK_EVERY, self._tick)


def _now() -> bytes:
    return formatdate(usegmt=True).encode()
