"""What can go wrong on the way to weights, beyond what `WeightsError` says to a person.

WeightsError
├── UnreachableError     nobody answered, or only with "not now": a cached copy may stand in
└── FetchCancelledError  the caller asked to stop
ChangedError             the remote moved while we read: list it again (never leaves this package)
"""

from __future__ import annotations

import errno
from pathlib import Path

from penstock.errors import WeightsError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


class UnreachableError(WeightsError):
    """The remote did not answer within the patience, or answered 429 or 5xx throughout."""


class FetchCancelledError(WeightsError):
    """The caller's `cancelled()` said yes. What has arrived stays and is resumed next time."""

    def __init__(self, message: str = "Fetching the weights was cancelled.", *, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)


class ChangedError(Exception):
    """The remote holds another version of a file than its listing said."""


def from_os_error(error: OSError, cache: Path) -> WeightsError:
    """What a failed system call on the cache means to a person."""
    what = error.strerror or type(error).__name__
    if error.errno in _NO_SPACE:
        return WeightsError(
            f"The disk of the weights' cache {cache} is full ({what}). What has arrived is kept.",
            remedy="Free space there, or name a larger disk as weights.cache, and start again; the download goes on"
            " where it stopped.",
        )
    if error.errno in _NO_PERMISSION:
        return WeightsError(
            f"The weights' cache {cache} cannot be written: {what}: {error.filename or cache}.",
            remedy="Make the folder writable for this user, or name another as weights.cache.",
        )
    return WeightsError(
        f"The weights' cache {cache} cannot be used: {what}" + (f": {error.filename}." if error.filename else "."),
        remedy="Name another folder as weights.cache, on a file system with locks and renames.",
    )
