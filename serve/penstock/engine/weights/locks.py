"""Locks between the processes of a node, by flock: they die with the process that holds them.

Lock files are never removed, so that two processes cannot hold locks on two files of one name.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Lock:
    """A lock that is held. Released by `release`, by leaving its context, or by the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def try_lock(path: Path, *, shared: bool = False) -> Lock | None:
    """Take the lock of a file, made where it is not there, or None where another process is in the way.

    Raises OSError where the file can neither be made nor opened, or the file system has no locks.
    """
    descriptor = _open(path, shared=shared)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return Lock(descriptor)


def _open(path: Path, *, shared: bool) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        # Reading is enough to hold a copy in a cache that others fill.
        if shared and error.errno in {errno.EACCES, errno.EROFS} and path.exists():
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        raise
