"""What real servers of tests have in common: they are killed and started again at the same address. Used by `postgres`
and `redis`, which know how each is started."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Server(Protocol):
    """One that only this machine reaches, by a random port and a password."""

    port: int
    password: str

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def remove(self) -> None: ...


class InContainer:
    """An official image in a container, whose port stays the same when it is started again.

    Args:
        container: of testcontainers, not started.
        inside: the port that it listens on inside.
        ready: returns once it answers.
    """

    def __init__(
        self, container: Any, *, inside: int, port: int, password: str, ready: Callable[[Server], None]
    ) -> None:
        self.port = port
        self.password = password
        self._container = container
        self._container.with_bind_ports(inside, port)
        self._ready = ready
        self._made = False

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        self._ready(self)

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        if self._made:
            self._container.stop()


@contextmanager
def running(in_container: Callable[[], Server], of_the_system: Callable[[], Server]) -> Iterator[Server]:
    """A server that answers, in a container where a container engine answers; gone with its data at the end."""
    server = in_container() if _container_engine_answers() else of_the_system()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _container_engine_answers() -> bool:
    place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not place.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as knock:
        return knock.connect_ex(place.removeprefix("unix://")) == 0
