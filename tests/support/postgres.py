"""A real PostgreSQL for tests: in a container where a container engine answers, else the system's own programs.

Only this machine reaches it, by a random port and a password. It can be killed and started again with its data.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from penstock.assembly.own_servers import postgres_programs
from support.engines import free_port
from support.servers import InContainer, Server, running

USER = "penstock"
IMAGE = "postgres:17-alpine"
LIMIT = 120.0
"""Seconds that a start may take on a busy machine."""


def url_of(server: Server, database: str = "postgres") -> str:
    """Where clients find a database of it."""
    return f"postgresql://{USER}:{server.password}@127.0.0.1:{server.port}/{database}"


def new_database(server: Server) -> str:
    """The address of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(url_of(server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url_of(server, name)


def running_postgres() -> AbstractContextManager[Server]:
    """A server that accepts connections; gone with its data at the end."""
    return running(_in_container, OfTheSystem)


def wait_until_ready(server: Server) -> None:
    """Until it takes a query."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            with psycopg.connect(url_of(server), connect_timeout=3) as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            assert time.monotonic() < end, f"PostgreSQL did not answer within {LIMIT:g} s"
            time.sleep(0.05)


class OfTheSystem:
    """initdb and postgres of the newest version that is installed. As root it runs as another user: it refuses root."""

    def __init__(self) -> None:
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = "postgres" if _user_exists("postgres") else "nobody"
            shutil.chown(self._folder, user)
            self._as = {"user": user, "extra_groups": []}
        self._make()

    def start(self) -> None:
        log = (self._folder / "log").open("ab")
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "autovacuum": "off",
            "max_logical_replication_workers": "0",
        }
        with log:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self._data,
                    *(f"--{key}={value}" for key, value in options.items()),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **self._as,
            )
        wait_until_ready(self)

    def kill(self) -> None:
        """As a machine that loses its power: nothing is said to clients, nothing is written."""
        assert self._process is not None
        self._signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """As a machine that swaps, or a network that loses everything: connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """To it and its children, each of which leads a group of its own."""
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [psutil.Process(self._process.pid)]
            family += family[0].children(recursive=True)
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(number)
            if number is signal.SIGKILL:
                psutil.wait_procs(family[1:], timeout=LIMIT)

    def remove(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def _make(self) -> None:
        words = self._folder / "password"
        words.write_text(self.password)
        words.chmod(0o644)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={words}", "-N"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            timeout=LIMIT,
            **self._as,
        )


def _in_container() -> Server:
    from testcontainers.postgres import PostgresContainer

    password = secrets.token_hex(8)
    container = PostgresContainer(IMAGE, username=USER, password=password, dbname="postgres")
    return InContainer(container, inside=5432, port=free_port(), password=password, ready=wait_until_ready)


def _programs() -> Path:
    found = postgres_programs(Path("/usr/lib/postgresql"), shutil.which("initdb"))
    assert found, "these tests need a container engine, or PostgreSQL's server: apt-get install postgresql"
    return found


def _user_exists(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
