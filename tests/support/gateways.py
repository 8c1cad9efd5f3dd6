"""A gateway with fake engines behind it, on loopback, and a client that sees bytes. For tests of `penstock.gateway`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from penstock import config
from penstock.accounts.limits.opening import OpenLimits
from penstock.accounts.opening import OpenAccounts
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.leases import Lease, Replica, StaticSource
from penstock.gateway.listener import Listener

TOKEN = "engine-token"
LIMIT = 60.0
"""Seconds that anything in these tests may take."""


@dataclass
class Seen:
    """A request as the engine saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[["FakeEngine", Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answers(engine: FakeEngine, seen: Seen, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A whole JSON answer."""
    body = b'{"object":"chat.completion","usage":{"prompt_tokens":3,"completion_tokens":5}}'
    writer.write(head(200, [("content-type", "application/json"), ("content-length", str(len(body)))]) + body)


def streams(
    chunks: int = 3, *, gap: float = 0.0, die: bool = False, wait: asyncio.Event | None = None, chunk: bytes = b""
) -> Behaviour:
    """A stream of events. `die`: cut the connection after them. `wait`: before the last one."""

    async def behave(engine: FakeEngine, seen: Seen, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]))
        for number in range(chunks):
            if wait is not None and number == chunks - 1:
                await wait.wait()
            event = chunk or b'data: {"n":%d}\n\n' % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            if gap:
                await asyncio.sleep(gap)
        if die:
            await asyncio.sleep(0.05)
            writer.transport.abort()
            return
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    return behave


async def dies(engine: FakeEngine, seen: Seen, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cuts the connection before the first byte."""
    writer.transport.abort()


async def stalls(engine: FakeEngine, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answers; notes when the client goes."""
    await reader.read()
    writer.close()


def says(raw: bytes) -> Behaviour:
    """Exactly these bytes."""

    async def behave(engine: FakeEngine, seen: Seen, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return behave


def refuses(status: int, body: bytes, content_type: str = "application/json") -> Behaviour:
    """A whole answer with this status."""
    lines = [("content-type", content_type), ("content-length", str(len(body)))]
    return says(head(status, lines) + body)


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode()


@dataclass
class FakeEngine:
    """An engine on loopback that behaves as it is told. `behaviour` may be changed at any time."""

    behaviour: Behaviour = answers
    seen: list[Seen] = field(default_factory=list)
    in_progress: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def replica(self) -> Replica:
        return Replica(f"replica-{self.port}", f"http://127.0.0.1:{self.port}", TOKEN)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and cut those that there are."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await eventually(lambda: not self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (seen := await self._read(reader)) is not None:
                self.seen.append(seen)
                self.in_progress += 1
                gone = asyncio.ensure_future(eventually(lambda: reader.at_eof() or writer.is_closing(), limit=120))
                work = asyncio.ensure_future(self.behaviour(self, seen, reader, writer))
                try:
                    await asyncio.wait([gone, work], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    gone.cancel()
                    work.cancel()
                    await asyncio.wait([gone, work])
                    self.in_progress -= 1
                if writer.is_closing() or (not work.cancelled() and work.exception()):
                    break
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Seen | None:
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
            lines = raw.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
            return Seen(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


class RecordingSource(StaticSource):
    """Counts what was taken and given back. While `there` is not set, there is no replica."""

    def __init__(self, replicas: list[Replica]) -> None:
        super().__init__(replicas)
        self.taken = 0
        self.returned = 0
        self.asked = 0
        self.there = asyncio.Event()
        self.there.set()

    async def take(self) -> Any:
        self.asked += 1
        try:
            await self.there.wait()
        finally:
            self.asked -= 1
        lease = await super().take()
        self.taken += 1
        return lease

    async def give_back(self, lease: Lease) -> None:
        await super().give_back(lease)
        self.returned += 1


@dataclass
class Gateway:
    """What a test gets."""

    app: GatewayApp
    listener: Listener
    engines: list[FakeEngine]
    source: RecordingSource

    @property
    def port(self) -> int:
        return self.listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self) -> FakeEngine:
        return self.engines[0]


@asynccontextmanager
async def running_gateway(
    *behaviours: Behaviour,
    settings: dict[str, Any] | None = None,
    models: Iterable[ModelEntry] | None = None,
    accounts: OpenAccounts | None = None,
    limits: OpenLimits | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway with one fake engine for each behaviour, one by default, as replicas of the model `demo`.

    Checks at the end that every lease was given back.
    """
    engines = [FakeEngine(behaviour) for behaviour in behaviours or (answers,)]
    for engine in engines:
        await engine.start()
    source = RecordingSource([engine.replica for engine in engines])
    parsed = config.Gateway.model_validate(settings or {})
    catalog = Catalog(models or [ModelEntry("demo", ("default",), 1_700_000_000)])
    app = GatewayApp(parsed, catalog, lambda _: source, accounts=accounts, limits=limits)
    listener = Listener(app, parsed, port=0)
    await listener.start()
    try:
        yield Gateway(app, listener, engines, source)
    finally:
        await listener.stop(0.1)
        await app.close()
        for engine in engines:
            await engine.stop()
    assert source.taken == source.returned, "a lease was lost"


def chat(model: Any = "demo", **more: Any) -> bytes:
    """The body of a chat request."""
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], **more})


def post(body: bytes, path: str = "/v1/chat/completions", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A whole POST as bytes. `headers` replace those with the same name; an empty value removes it."""
    lines = {"host": "gateway", "content-type": "application/json", "content-length": str(len(body)), **dict(headers)}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"POST {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1") + body


def get(path: str, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A whole request without a body."""
    lines = {"host": "gateway", **dict(headers)}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


@dataclass
class Response:
    """An answer, its chunks put together."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    """Whether it came to its proper end."""

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object; fails where the answer is none."""
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert error["message"]
        return error


class Client:
    """One connection, of which every byte is seen."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), LIMIT)

    async def response(self, *, to_head: bool = False) -> Response:
        """The next answer. `to_head`: it answers a HEAD, so it has no body."""
        return await asyncio.wait_for(self._response(to_head=to_head), LIMIT)

    async def ask(self, data: bytes) -> Response:
        await self.send(data)
        return await self.response(to_head=data.startswith(b"HEAD"))

    async def is_closed(self) -> bool:
        """Whether the gateway closes the connection without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), LIMIT) == b""
        except ConnectionError:
            return True

    async def _response(self, *, to_head: bool) -> Response:
        while True:
            response = await self.head()
            if response.status != 100:
                break
        headers = response.headers
        try:
            if to_head or response.status == 204:
                pass
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    response.body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
            elif "content-length" in headers:
                response.body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                response.body = await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            response.whole = False
        return response

    async def head(self) -> Response:
        """The head of the next answer."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), LIMIT)
        lines = raw.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        return Response(int(status), headers, b"")


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[Client]:
    """A client's connection to the gateway; cut at the end, however far it got."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        # The transport closes in the next turn of the loop.
        await asyncio.sleep(0)


async def ask(gateway: Gateway, data: bytes) -> Response:
    """One request on a connection of its own."""
    async with connected(gateway) as client:
        return await client.ask(data)


async def eventually(condition: Callable[[], bool], *, limit: float = LIMIT) -> None:
    """Wait until something holds; fails when it does not within the limit."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110  # what is waited for does not know of the test
            await asyncio.sleep(0.005)
