"""A whole Penstock as users start it: `penstock up` in a process of its own, with a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil
import yaml

from support.engines import free_port

T = TypeVar("T")
START_LIMIT = 900.0
LEFTOVER_LIMIT = 240.0
CPU_ENV = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
CPU_OPTIONS = {"max_model_len": 1024, "enforce_eager": True}


def until(condition: Callable[[], T], *, limit: float = 60.0, what: str = "the condition", every: float = 0.1) -> T:
    """The condition's value once it is true. Fails after `limit` seconds."""
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not become true within {limit:g} s"
        time.sleep(every)
    return value


class Penstock:
    """Starts with `with`, ends with it; fails when a process is left behind."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.folder = folder
        self.port = free_port()
        self.document = {**document, "gateway": {**document.get("gateway", {}), "port": self.port}}
        self.log = folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._family: set[psutil.Process] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PENSTOCK_STATE_DIR": str(self.folder / "state")}

    def start(self) -> None:
        """Start it, not waiting for anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up", "-f", str(self._written(self.document))],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    def wait_until_serving(self, limit: float = START_LIMIT) -> None:
        """Until it prints its address."""

        def serving() -> bool:
            self.remember()
            assert self.process.poll() is None, f"it ended:\n{self.said()}"
            return "Ctrl-C stops everything" in self.said() or "with no models" in self.said()

        until(serving, limit=limit, what=f"serving; it said:\n{self.said()}\n")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def command(self, *arguments: str, limit: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run another command of the same user."""
        return subprocess.run(
            [sys.executable, "-m", "penstock", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """`penstock status --json`."""
        done = self.command("status", "--json")
        assert done.stdout, done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        return status

    def apply(self, document: dict[str, Any], *more: str) -> subprocess.CompletedProcess[str]:
        self.document = {**document, "gateway": {**document.get("gateway", {}), "port": self.port}}
        return self.command("apply", "-f", str(self._written(self.document)), *more)

    def family(self) -> set[psutil.Process]:
        """All processes below it, now."""
        try:
            return set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return set()

    def remember(self) -> set[psutil.Process]:
        """Note the processes of now, so that the end can be checked against all that ever were."""
        self._family |= self.family()
        return self._family

    def stop(self, how: signal.Signals = signal.SIGINT, limit: float = 180.0) -> int:
        """Stop it as a person does, and see that nothing of it is left."""
        self.remember()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(limit)
        finally:
            self._kill_rest()
        return status

    def left(self) -> list[psutil.Process]:
        """Processes of it that are still there."""
        return still_there(self._family)

    def _kill_rest(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Ray's own agents look for their parent only now and then, when it was killed.
        end = time.monotonic() + LEFTOVER_LIMIT
        while (left := self.left()) and time.monotonic() < end:
            time.sleep(0.05)
        told = [f"{process.pid} {' '.join(process.cmdline())[:100]}" for process in left]
        for process in left:
            process.kill()
        assert not told, f"processes were left behind: {told}\n{self.said()}"

    def _written(self, document: dict[str, Any]) -> Path:
        path = self.folder / "penstock.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_serving()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def still_there(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended; one that only waits for its parent to hear of its end has."""
    return [process for process in processes if process.is_running() and _status(process) != "zombie"]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.Error:
        return "zombie"


def pids_of(model: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """Replica and engine processes of a model of `status`."""
    return sorted((replica["pid"], sorted(replica["engine_pids"])) for replica in model["replicas"])
