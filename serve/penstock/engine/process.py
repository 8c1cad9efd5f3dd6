"""One engine process under a guardian: start, watch, stop. Used by the replica; knows nothing of vLLM or Ray."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import psutil

from penstock.engine.log import EngineLog

_GUARDIAN = Path(__file__).with_name("guardian.py")


class EngineProcess:
    """Belongs to the event loop that starts it. Ends with it at the latest, by whatever death."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: EngineLog) -> None:
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARDIAN), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        self._watcher = threading.Thread(target=self._watch, name="engine-watcher", daemon=True)

    @classmethod
    def start(
        cls,
        arguments: list[str],
        environment: Mapping[str, str],
        log: EngineLog,
        *,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> EngineProcess:
        """Start it. `on_line` is called on the event loop with each line of the log."""
        process = cls(arguments, environment, log)
        process._on_line = on_line
        process._watcher.start()
        return process

    _on_line: Callable[[str], None]

    @property
    def running(self) -> bool:
        return not self._exit.done()

    @property
    def exit_status(self) -> int | None:
        """128 + n for signal n; None while it runs."""
        return self._exit.result() if self._exit.done() else None

    def pids(self) -> list[int]:
        """The engine's processes, its own children included, without the guardian."""
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(self._process.pid).children(recursive=True)]
        return []

    def first_pid(self) -> int | None:
        """The process that the command itself became; None once it has ended."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self._process.pid).children()
            return min(children, key=lambda child: child.create_time()).pid if children else None
        return None

    async def wait(self) -> int:
        """The exit status, once it has ended. May be awaited by many; cancelling one disturbs no other."""
        return await asyncio.shield(self._exit)

    async def stop(self, grace: float) -> int:
        """Ask it to end, kill it after `grace` seconds, return when nothing of it is left."""
        self._tell(f"stop {grace:f}\n".encode())
        return await self.wait()

    async def kill(self) -> int:
        """End it at once, with all its children."""
        self._hang_up()
        return await self.wait()

    def _tell(self, line: bytes) -> None:
        # The guardian may be gone already; the watcher says so.
        with contextlib.suppress(OSError, ValueError):
            stdin = _open_pipe(self._process.stdin)
            stdin.write(line)
            stdin.flush()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            _open_pipe(self._process.stdin).close()

    def _watch(self) -> None:
        """On its own thread: read the log to its end, then the exit status."""
        with _open_pipe(self._process.stdout) as stdout:
            for line in stdout:
                text = self._log.add(line)
                self._on_loop(self._on_line, text)
        status = self._process.wait()
        self._hang_up()
        self._log.close()
        self._on_loop(self._ended, status if status >= 0 else 128 - status)

    def _on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        # The loop may have been closed under us at the interpreter's end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _ended(self, status: int) -> None:
        if not self._exit.done():
            self._exit.set_result(status)


def _open_pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without this pipe")
    return pipe
