"""The gateway's own listening socket and its connections. Started by the gateway's deployment, and by tests.

How it stops: no new connections → idle ones are closed → running answers may end within the grace → the rest is cut.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from email.utils import formatdate

from penstock import config
from penstock.errors import MachineError
from penstock.gateway.connection import Connection
from penstock.gateway.exchange import Application, Exchange

BACKLOG = 2048

SPARE = 64
"""Connections over the limit that are told so; beyond them they are just closed."""

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
        self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=BACKLOG)
        self._tick()

    def drain(self) -> None:
        """Still accept, but close every connection after its next answer, and idle ones now."""
        self.draining = True
        for connection in [connection for connection in self._connections if connection.idle]:
            connection.cut()

    async def stop(self, grace: float) -> None:
        """Stop; running answers get `grace` seconds to end. Returns when nothing is left."""
        if self._server is not None:
            self._server.close()
        self.drain()
        if not await self._gone_within(grace):
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


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that is bound to the address, not yet listening. Raises MachineError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise MachineError(
            f"gateway.host is {host!r}, which is no address of this machine: {error.strerror or error}.",
            remedy="Use 127.0.0.1 for this machine alone, or 0.0.0.0 for all its networks.",
        ) from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _cannot_bind(host, port, error) from error
    return sock


def _cannot_bind(host: str, port: int, error: OSError) -> MachineError:
    if error.errno == errno.EADDRINUSE:
        return MachineError(
            f"Port {port} of {host} is in use by another program.",
            remedy="Stop that program, or choose another port: gateway.port in the document.",
        )
    if error.errno == errno.EACCES:
        return MachineError(
            f"This user may not listen on port {port}.",
            remedy="Choose a port above 1023: gateway.port in the document.",
        )
    return MachineError(
        f"Cannot listen on {host}:{port}: {error.strerror}.",
        remedy="gateway.host must be an address of this machine; 0.0.0.0 means all of them.",
    )


def _now() -> bytes:
    return formatdate(usegmt=True).encode()
