"""Listeners that share a port: one leaves, and no client notices. Clients here never try again."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

import pytest

from penstock import config
from penstock.gateway.call import Receive, Scope, Send
from penstock.gateway.listener import Listener
from penstock.gateway.sockets import bind, refuse_newcomers, take_waiting
from support.gateways import LIMIT, connected, eventually, get, post, running_gateway, streams

pytestmark = pytest.mark.integration

CLIENTS = 4
DEPARTURES = 8


@dataclass
class Answers:
    """An application that counts what it answers."""

    count: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@dataclass
class Crowd:
    """Threads that ask one thing on a connection of its own, over and over: the gateway's loop does not pace them."""

    port: int
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    leaving: bool = False

    def ask(self) -> None:
        while not self.leaving:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT) as connection:
                    connection.sendall(get("/", headers=[("connection", "close")]))
                    answer = b"".join(iter(lambda: connection.recv(4096), b""))
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if answer.endswith(b"ok"):
                self.answered += 1
            else:
                self.failures.append(f"half an answer: {answer!r}")


async def test_of_many_short_connections_none_is_reset_when_a_listener_leaves_the_port() -> None:
    stays = Listener(Answers(), config.Gateway(), port=0, shared=True)
    await stays.start()
    crowd = Crowd(stays.port)
    clients = [asyncio.create_task(asyncio.to_thread(crowd.ask)) for _ in range(CLIENTS)]
    for _ in range(DEPARTURES):
        app = Answers()
        leaves = Listener(app, config.Gateway(), port=stays.port, shared=True)
        await leaves.start()
        await eventually(lambda app=app: app.count > CLIENTS)
        await leaves.stop(10)
    before = crowd.answered
    await eventually(lambda: crowd.answered > before + CLIENTS)
    crowd.leaving = True
    await asyncio.wait_for(asyncio.gather(*clients), LIMIT)
    await stays.stop(10)
    assert crowd.failures == []


def test_a_socket_that_refuses_newcomers_keeps_whom_it_has() -> None:
    with bind("127.0.0.1", 0) as listening:
        listening.listen()
        address = listening.getsockname()
        with socket.create_connection(address) as known:
            assert refuse_newcomers(listening)
            with socket.socket() as stranger:
                stranger.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    stranger.connect(address)
            (taken,) = take_waiting(listening)
            with taken:
                known.sendall(b"hello")
                taken.setblocking(True)
                assert taken.recv(5) == b"hello"


async def test_while_it_pauses_a_stopping_gateway_serves_who_comes_and_says_that_it_goes() -> None:
    async with running_gateway() as gateway:
        gateway.app.drain()
        stopping = asyncio.create_task(gateway.listener.stop(10, pause=2))
        async with connected(gateway) as client:
            ready = await client.ask(get("/readyz"))
        async with connected(gateway) as client:
            answer = await client.ask(post(b'{"model":"demo"}'))
        assert (ready.status, ready.headers["connection"]) == (503, "close")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await asyncio.wait_for(stopping, 60)
        assert not gateway.listener.serving


async def test_a_client_whose_stream_began_before_the_draining_may_ask_once_more_on_its_connection() -> None:
    last = asyncio.Event()
    async with running_gateway(streams(2, wait=last)) as gateway, connected(gateway) as client:
        await client.send(post(b'{"model":"demo","stream":true}'))
        await client.head()
        stopping = asyncio.create_task(gateway.listener.stop(10))
        await eventually(lambda: not gateway.listener.serving)
        last.set()
        await client.reader.readuntil(b"0\r\n\r\n")
        again = await client.ask(get("/healthz"))
        assert (again.status, again.headers["connection"]) == (200, "close")
        assert await client.is_closed()
        await asyncio.wait_for(stopping, 60)
