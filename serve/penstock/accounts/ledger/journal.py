"""Entries on disk, until the store has them. Used by `writer`, and by nobody else at the same time.

A folder holds a folder for each process that writes, with a lock that ends with it. Whoever starts takes over what
others left behind. A process appends to one file; the files before it are closed, and go when the store has them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from penstock.accounts.ledger.entry import Entry, decode

LARGEST_SEGMENT: Final = 2**22
"""Bytes of a file, about; then the next one begins."""

_SUFFIX: Final = ".journal"


class Journal:
    """Raises OSError where the folder cannot be used.

    Args:
        folder: of this machine; several processes may use it.
    """

    def __init__(self, folder: Path) -> None:
        name = secrets.token_hex(8)
        # It has its name once it is locked, so that nobody who starts at the same time takes it for left behind.
        unfinished = folder / f".{name}"
        unfinished.mkdir(parents=True, mode=0o700)
        self._lock = _locked(unfinished)
        self._folder = unfinished.rename(folder / name)
        self._number = 0
        self._open: IO[bytes] | None = None
        self._path = self._folder
        self._closed: dict[Path, int] = {}
        """Their sizes."""
        self.size = 0
        """Bytes of all its files."""
        self._take_over(folder)

    def append(self, lines: Iterable[bytes]) -> None:
        """Write lines, to stay even where the machine stops. Raises OSError; then none of them is there."""
        if self._open is None:
            self._number += 1
            self._path = self._folder / f"{self._number:012}{_SUFFIX}"
            self._open = self._path.open("xb", buffering=0)
        data = b"".join(lines)
        before = self._open.tell()
        try:
            written = 0
            while written < len(data):
                written += self._open.write(data[written:])
            os.fsync(self._open.fileno())
        except OSError:
            self._open.truncate(before)
            self._open.seek(before)
            raise
        self.size += len(data)
        if self._open.tell() >= LARGEST_SEGMENT:
            self.turn()

    def turn(self) -> None:
        """Begin another file, where the one that is open has something in it."""
        if self._open is not None:
            self._closed[self._path] = self._open.tell()
            self._open.close()
            self._open = None

    def closed(self) -> list[Path]:
        """Files that are whole, the oldest first."""
        return list(self._closed)

    def drop(self, path: Path) -> None:
        """The store has it, or nobody ever will."""
        path.unlink(missing_ok=True)
        self.size -= self._closed.pop(path)

    def close(self) -> None:
        """Leave the files for whoever starts next; the folder goes where there are none."""
        self.turn()
        if not self._closed:
            (self._folder / "lock").unlink()
            self._folder.rmdir()
        self._lock.close()

    def _take_over(self, folder: Path) -> None:
        for other in sorted(folder.iterdir()):
            if other == self._folder or other.name.startswith(".") or not other.is_dir():
                continue
            try:
                lock = _locked(other)
            except OSError:
                continue  # its process lives
            with lock:
                for path in sorted(other.glob(f"*{_SUFFIX}")):
                    mine = self._folder / f"{other.name}-{path.name}"
                    path.rename(mine)
                    self._closed[mine] = mine.stat().st_size
                    self.size += self._closed[mine]
                (other / "lock").unlink(missing_ok=True)
                if not any(other.iterdir()):
                    other.rmdir()


def read(path: Path) -> Iterator[Entry | None]:
    """The entries of a file; None for each line that is none."""
    with path.open("rb") as file:
        for line in file:
            yield decode(line)


def _locked(folder: Path) -> IO[bytes]:
    """Raises OSError where another process has it."""
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise
    return lock
