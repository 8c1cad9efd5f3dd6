"""Stands between a replica and its engine so that no process of the engine outlives the replica.

Started as a script by `engine.process`, with nothing but the standard library:

    python -I -S guardian.py COMMAND...

It starts the command in a session of its own, adopts whatever processes that one leaves behind (Linux), and reads its
own standard input. The line `stop SECONDS` ends the engine gently: SIGTERM to the command, after so many seconds
SIGKILL to all. End of input means that the replica is gone, even by SIGKILL, and kills all at once. When the command
ends by itself, what it left behind is killed too. The exit status is the command's; 128 + n for signal n.

What the engine puts into the folder of temporary files (vLLM has its sockets there, and removes none when it is killed)
lies in a folder of its own, which goes with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_QUIET_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _descendants() -> list[int]:
    """All processes below this one. Empty where there is no /proc."""
    parents: dict[int, int] = {}
    try:
        entries = [entry for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208  # no import of pathlib
    except OSError:
        return []
    for entry in entries:
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:  # noqa: PTH123
                # The name in parentheses may hold anything, so fields are counted from its end.
                parents[int(entry)] = int(stat.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    below: list[int] = []
    frontier = {os.getpid()}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier}
        below.extend(frontier)
    return below


def _kill_all(group: int) -> None:
    """SIGKILL to the engine's group and to everything below, until nothing is left; at most 10 seconds."""
    limit = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
        for pid in _descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reap()
        if not _descendants() or time.monotonic() > limit:
            return
        time.sleep(0.01)


def _reap() -> dict[int, int]:
    """Exit statuses of ended children, adopted ones included."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


class _Orders:
    """What the replica says on standard input."""

    def __init__(self) -> None:
        self._pending = b""

    def read(self) -> float | None:
        """Seconds of grace of a stop that was ordered, None for no order. Raises EOFError when the replica is gone."""
        data = os.read(0, 4096)
        if not data:
            raise EOFError
        *lines, self._pending = (self._pending + data).split(b"\n")
        graces = [float(words[1]) for words in map(bytes.split, lines) if len(words) == 2 and words[0] == b"stop"]
        return graces[-1] if graces else None


def _set_up() -> int:
    """Adopt orphans, ignore the terminal's signals; the file that becomes readable when a child ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for quiet in _QUIET_SIGNALS:
        # A Ctrl-C or a service manager's stop reaches the whole group; the replica decides what it means.
        signal.signal(quiet, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake_read


def _in_engine() -> None:
    for default in _QUIET_SIGNALS:
        signal.signal(default, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def _own_temporary_files() -> Iterator[dict[str, str]]:
    """The environment of an engine with a folder of its own; the common one where none can be made."""
    try:
        # Paths of sockets may have about 100 characters.
        folder = tempfile.mkdtemp(prefix="engine-")
    except OSError:
        yield dict(os.environ)
        return
    try:
        yield {**os.environ, "TMPDIR": folder}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def guard(command: list[str]) -> int:
    """Run the command to its end; see the module."""
    with _own_temporary_files() as environment:
        return _guard(command, environment)


def _guard(command: list[str], environment: dict[str, str]) -> int:
    child_ended = _set_up()
    engine = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_in_engine,  # noqa: PLW1509  # one thread
    )
    orders = _Orders()
    deadline = math.inf
    while True:
        wait = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([0, child_ended], [], [], wait)
        if child_ended in ready:
            os.read(child_ended, 4096)
        status = _reap().get(engine.pid)
        if status is not None:
            _kill_all(engine.pid)
            return status if status >= 0 else 128 - status
        try:
            grace = orders.read() if 0 in ready else None
        except EOFError:
            deadline = -math.inf
        else:
            if grace is not None:
                deadline = time.monotonic() + grace
                os.kill(engine.pid, signal.SIGTERM)
        if time.monotonic() >= deadline:
            _kill_all(engine.pid)
            return 128 + signal.SIGKILL


if __name__ == "__main__":
    code = guard(sys.argv[1:])
    # Not sys.exit: the subprocess module would complain of a child that it did not see end.
    os._exit(code)
