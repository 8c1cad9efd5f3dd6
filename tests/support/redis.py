"""A real Redis for tests: in a container where a container engine answers, else the system's own program.

Only this machine reaches it, by a random port and a password. It can be killed and started again, without its data.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.engines import free_port
from support.servers import InContainer, Server, running

IMAGE = "redis:7-alpine"
LIMIT = 60.0
"""Seconds that a start may take on a busy machine."""


def url_of(server: Server) -> str:
    """Where clients find it."""
    return f"redis://:{server.password}@127.0.0.1:{server.port}/0"


def empty(server: Server) -> None:
    """Forget all that is there."""
    with client(server) as connected:
        connected.flushall()


@contextmanager
def client(server: Server) -> Iterator[redis.Redis]:
    """A connection of the test's own."""
    connected = redis.Redis.from_url(url_of(server), socket_timeout=5.0, retry=Retry(NoBackoff(), 0))
    try:
        yield connected
    finally:
        connected.close()


def running_redis() -> AbstractContextManager[Server]:
    """A server that answers; gone with its data at the end."""
    return running(_in_container, OfTheSystem)


def wait_until_ready(server: Server) -> None:
    """Until it answers."""
    end = time.monotonic() + LIMIT
    while True:
        with contextlib.suppress(redis.RedisError), client(server) as connected:
            connected.ping()
            return
        assert time.monotonic() < end, f"Redis did not answer within {LIMIT:g} s"
        time.sleep(0.02)


class OfTheSystem:
    """redis-server of the path."""

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_hex(8)
        program = shutil.which("redis-server")
        assert program, "these tests need a container engine, or Redis' server: apt-get install redis-server"
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-redis-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        configuration = self._folder / "redis.conf"
        # Not on the command line, which everybody sees.
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\nappendonly no\n'
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, configuration], stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )
        wait_until_ready(self)

    def kill(self) -> None:
        """As a machine that loses its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """As a machine that swaps: connections stay, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)


def _in_container() -> Server:
    from testcontainers.redis import RedisContainer

    password = secrets.token_hex(8)
    container = RedisContainer(IMAGE, password=password)
    return InContainer(container, inside=6379, port=free_port(), password=password, ready=wait_until_ready)
