"""A file on its way in: appended to, hashed as it grows, resumed where it was cut, moved into place when it is right.

Its methods block; the transfer calls them in threads, which cancellation may leave behind: a lock keeps the end of one
from meeting the next. Nothing here knows the network.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from penstock.engine.weights.digest import digest_for, matches
from penstock.engine.weights.files import RemoteFile
from penstock.engine.weights.manifest import sync_folder

_READ = 4 * 2**20
_SYNC_EVERY = 128 * 2**20
"""Bytes after which written data is pushed to the disk: the last push, and so the end of a fetch, stays short."""

P = ParamSpec("P")
R = TypeVar("R")


def _alone(
    method: Callable[Concatenate[Incoming, P], R],
) -> Callable[Concatenate[Incoming, P], R]:
    """One thread at a time."""

    @wraps(method)
    def guarded(self: Incoming, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._mutex:
            return method(self, *args, **kwargs)

    return guarded


class Incoming:
    """One file. `size` is what has arrived; `open` first, then `catch_up` until it says that it is done."""

    def __init__(self, file: RemoteFile, path: Path, target: Path) -> None:
        self._file = file
        self._path = path
        self._target = target
        self._content: io.FileIO | None = None
        self._closed = False
        self._mutex = threading.RLock()
        self._digest = digest_for(file)
        self._hashed = 0
        self._synced = 0
        self.size = 0

    @_alone
    def open(self) -> None:
        """Go on from what is there; what is longer than the file should be cannot be its beginning."""
        if self._closed:
            return  # cancelled before it began
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._content = io.FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
        self.size = self._content.seek(0, os.SEEK_END)
        if self.size > self._file.size:
            self.restart()

    @_alone
    def catch_up(self) -> bool:
        """Hash a part of what was there before; False once nothing is left to hash. In parts, to be interruptible."""
        content = self._opened
        for _ in range(16):
            if self._hashed >= self.size:
                return False
            content.seek(self._hashed)
            data = content.read(min(_READ, self.size - self._hashed))
            if not data:
                raise OSError(5, "the file became shorter while it was read", str(self._path))
            self._digest.update(data)
            self._hashed += len(data)
        return True

    @_alone
    def write(self, data: bytes) -> None:
        """Append. Raises OSError, of which as much as was written counts."""
        content = self._opened
        content.seek(self.size)
        view = memoryview(data)
        while view:
            written = content.write(view)
            self._digest.update(view[:written])
            view = view[written:]
            self.size += written
            self._hashed += written
        if self.size - self._synced >= _SYNC_EVERY:
            os.fdatasync(content.fileno())
            self._synced = self.size

    @_alone
    def restart(self) -> None:
        """Throw away what has arrived."""
        self._opened.truncate(0)
        self._digest = digest_for(self._file)
        self.size = self._hashed = self._synced = 0

    def is_right(self) -> bool:
        """Whether a file that has all its bytes has the right ones."""
        return self.size == self._file.size and matches(self._file, self._digest)

    @_alone
    def accept(self) -> None:
        """Move it into place, durably. From here on it counts as verified."""
        os.fsync(self._opened.fileno())
        self.close()
        self._path.replace(self._target)
        sync_folder(self._target.parent)

    @_alone
    def close(self) -> None:
        """Nothing is written afterwards."""
        content, self._content, self._closed = self._content, None, True
        if content is not None:
            content.close()

    @property
    def _opened(self) -> io.FileIO:
        if self._content is None:
            raise RuntimeError("the file is not open")
        return self._content
