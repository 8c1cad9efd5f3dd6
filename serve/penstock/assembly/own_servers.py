"""A PostgreSQL and a Redis of our own, from the programs that this machine has. Used by `accounts_cost`.

Only this machine reaches them, by a random port and a password, which stands in a file that others cannot read. Both
end with the context, and with this process at the latest; their data goes with them. `logs` is a folder for their logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

from penstock import environment
from penstock.assembly.comparison import LOOPBACK, until
from penstock.engine.log import EngineLog
from penstock.engine.process import EngineProcess
from penstock.engine.replica import free_port
from penstock.errors import EngineError

_USER = "penstock"
_READY = "eady to accept connections"
"""What both say: PostgreSQL with a small letter before it, Redis with a large one."""
_STOP_GRACE = 10.0
_INSTALL = "apt-get install postgresql redis-server"


class OwnServer(NamedTuple):
    """One that takes connections."""

    address: Path
    """The file that holds its address, which holds the password."""
    pids: list[int]


@contextlib.asynccontextmanager
async def own_postgres(logs: Path) -> AsyncIterator[OwnServer]:
    """With the settings that it comes with: what it has acknowledged is on disk. Raises EngineError."""
    programs = postgres_programs(Path("/usr/lib/postgresql"), shutil.which("initdb"))
    if programs is None:
        raise EngineError("There is no PostgreSQL server on this machine.", remedy=_INSTALL)
    port, password = free_port(LOOPBACK), secrets.token_hex(16)
    with _folder("postgres") as folder:
        data, words = folder / "data", _kept(folder / "password", password)
        own = _as_who_may(folder, words)
        make = [*own, str(programs / "initdb"), "-D", str(data), "-U", _USER, "-A", "scram-sha-256"]
        await asyncio.to_thread(_make_database, [*make, "-E", "UTF8", "--locale=C", f"--pwfile={words}"], folder)
        options = {"listen_addresses": LOOPBACK, "port": port, "unix_socket_directories": ""}
        command = [*own, str(programs / "postgres"), "-D", str(data), *(f"--{k}={v}" for k, v in options.items())]
        address = _kept(folder / "address", f"postgresql://{_USER}:{password}@{LOOPBACK}:{port}/postgres")
        async with _running(command, "PostgreSQL", logs) as pids:
            yield OwnServer(address, pids)


@contextlib.asynccontextmanager
async def own_redis(logs: Path) -> AsyncIterator[OwnServer]:
    """One that writes nothing to disk. Raises EngineError."""
    program = shutil.which("redis-server")
    if program is None:
        raise EngineError("There is no Redis server on this machine.", remedy=_INSTALL)
    port, password = free_port(LOOPBACK), secrets.token_hex(16)
    with _folder("redis") as folder:
        # Not on the command line, which everybody sees.
        lines = [f"bind {LOOPBACK}", f"port {port}", f"requirepass {password}", 'save ""', "appendonly no"]
        configuration = _kept(folder / "redis.conf", "\n".join([*lines, f"dir {folder}", ""]))
        address = _kept(folder / "address", f"redis://:{password}@{LOOPBACK}:{port}/0")
        async with _running([program, str(configuration)], "Redis", logs) as pids:
            yield OwnServer(address, pids)


def postgres_programs(installed: Path, on_path: str | None) -> Path | None:
    """The folder of the newest server's programs.

    Args:
        installed: where systems keep one folder for each version.
        on_path: `initdb`, where there is one.
    """
    found = [folder for folder in installed.glob("*/bin") if (folder / "initdb").exists()]
    if found:
        return max(found, key=lambda folder: [int(part) for part in folder.parent.name.split(".") if part.isdigit()])
    return Path(on_path).resolve().parent if on_path else None


@contextlib.asynccontextmanager
async def _running(command: list[str], what: str, logs: Path) -> AsyncIterator[list[int]]:
    log = EngineLog(logs / f"{what.lower()}.log")
    process = EngineProcess.start(command, {**environment.inherited(), "LC_ALL": "C"}, log)
    try:

        async def accepts() -> bool:
            return any(_READY in line for line in log.tail())

        await until(accepts, process, log, what)
        yield process.pids()
    finally:
        await process.stop(_STOP_GRACE)


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kept(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
    return path


def _make_database(command: list[str], folder: Path) -> None:
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if made.returncode:
        raise EngineError(f"PostgreSQL's initdb failed:\n{made.stderr.strip()}")


def _as_who_may(*paths: Path) -> list[str]:
    """What comes before a command of PostgreSQL, which refuses to run as root. The paths become that user's."""
    if os.geteuid() != 0:
        return []
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
