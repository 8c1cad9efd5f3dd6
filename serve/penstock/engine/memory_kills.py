"""Whether the system killed a process for its memory while an engine ran. Read by the replica, shown by `diagnosis`.

The kernel counts such kills: for each control group (a container, a service), and for the whole machine. An engine's
processes are in the control group of its replica. Where there is no Linux, nothing is known.
"""

from __future__ import annotations

import collections
import contextlib
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

_MARKS = 2
"""Kills are looked for since the mark before last: an engine may take a while to end after one of its processes was
killed, and a mark in between must not hide it."""


class MemoryKill(StrEnum):
    """What is known of a kill."""

    HERE = "here"
    """A process of the replica's own control group was killed: the engine's, for it is by far the largest."""
    MACHINE = "machine"
    """Some process of the machine was killed."""


class Kills(NamedTuple):
    """Counts so far; None where they cannot be read."""

    here: int | None
    machine: int | None


class MemoryKills:
    """Compares counts. `mark` while the engine lives, `found` once it has ended."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._marks: collections.deque[Kills] = collections.deque(maxlen=_MARKS)

    def mark(self) -> None:
        """Remember the counts of now."""
        self._marks.append(read_kills(self._root))

    def found(self) -> MemoryKill | None:
        """Whether there was a kill since the mark before last."""
        return compare(self._marks[0], read_kills(self._root)) if self._marks else None


def compare(before: Kills, after: Kills) -> MemoryKill | None:
    """The kill that is closest to the engine."""
    if before.here is not None and after.here is not None:
        # The group's count holds kills by any cause, so one that did not grow says that it was somebody else.
        return MemoryKill.HERE if after.here > before.here else None
    if before.machine is not None and after.machine is not None and after.machine > before.machine:
        return MemoryKill.MACHINE
    return None


def read_kills(root: Path) -> Kills:
    """The counts of this process's control group and of the machine whose `/` is `root`."""
    here = next((count for file in _group_files(root) if (count := _count(file)) is not None), None)
    return Kills(here, _count(root / "proc/vmstat"))


def _group_files(root: Path) -> list[Path]:
    """Where this process's group is counted, the most exact first. Inside a container its group looks like the root."""
    files: list[Path] = []
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, _, rest = line.partition(":")
            controllers, _, group = rest.partition(":")
            if number == "0":
                folder, name = root / "sys/fs/cgroup", "memory.events"
            elif "memory" in controllers.split(","):
                folder, name = root / "sys/fs/cgroup/memory", "memory.oom_control"
            else:
                continue
            files += [folder / group.lstrip("/") / name, folder / name]
    return files


def _count(file: Path) -> int | None:
    try:
        pairs = (line.split() for line in file.read_text().splitlines())
        return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == "oom_kill"), None)
    except (OSError, ValueError):
        return None
