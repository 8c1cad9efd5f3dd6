"""Digests of files as they grow, by the names that remotes use. Used while writing a download."""

from __future__ import annotations

import hashlib
from typing import Protocol

from penstock.engine.weights.files import Checksum, RemoteFile


class Digest(Protocol):
    """What hashlib's objects are."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class _NoDigest:
    def update(self, data: bytes | memoryview, /) -> None:
        pass

    def hexdigest(self) -> str:
        return ""


def digest_for(file: RemoteFile) -> Digest:
    """A fresh digest of the kind that the remote promises for a file; one that does nothing where it promises none."""
    match file.checksum:
        case Checksum("sha256"):
            return hashlib.sha256()
        case Checksum("md5"):
            return hashlib.md5(usedforsecurity=False)
        case Checksum("git-sha1"):
            # Git hashes a header before the content.
            return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        case _:
            return _NoDigest()


def matches(file: RemoteFile, digest: Digest) -> bool:
    """Whether a finished digest is the promised one."""
    found = digest.hexdigest()
    return not found or file.checksum is None or found == file.checksum.hex
