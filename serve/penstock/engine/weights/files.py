"""What a place of weights holds, as plain values. Leaf of the package: every other module here speaks in these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from penstock.config import Source

Algorithm = str
"""`sha256`, `md5`, or `git-sha1`: git's name of a blob, which the hub gives for files outside its large storage."""


class Checksum(NamedTuple):
    """A digest that the remote promises, in lower-case hex."""

    algorithm: Algorithm
    hex: str


class RemoteFile(NamedTuple):
    """A file at the remote: its path below the source (`/` between parts), its size in bytes, and what tells two
    versions of it apart: a checksum where the remote gives one, else its entity tag."""

    path: str
    size: int
    checksum: Checksum | None = None
    etag: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for two files exactly when their bytes are, as far as the remote tells."""
        version = f"{self.checksum.algorithm}:{self.checksum.hex}" if self.checksum else f"etag:{self.etag}"
        return f"{self.size}:{version}"


class Snapshot(NamedTuple):
    """Everything that a remote holds for a source at one moment. `resolved` names that state: the hub's commit, or a
    digest of the listing."""

    resolved: str
    files: tuple[RemoteFile, ...]


class Progress(NamedTuple):
    """How far a fetch is, over all files. `total` is None until it is known; `file` was worked on last."""

    done: int
    total: int | None
    file: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What `fetch` would bring, without bringing it.

    `files` are those that an engine needs, `skipped` those that it does not. `resolved` is the hub's commit, a digest
    of the listing for object stores, None for a folder. `cached` says whether a whole copy is in the cache already (for
    a folder or a claim: always).
    """

    source: Source
    resolved: str | None
    files: tuple[RemoteFile, ...]
    skipped: tuple[RemoteFile, ...]
    cached: bool

    @property
    def size(self) -> int:
        """Bytes of all needed files."""
        return sum(file.size for file in self.files)


Report = Callable[[Progress], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Patience:
    """How hard a fetch tries. The defaults suit the open internet; tests are less patient."""

    attempts: int = 6
    """Tries in a row without headway before a request is given up."""
    first_wait: float = 0.5
    """Seconds before the second try; doubles with each, and a server's `Retry-After` counts."""
    longest_wait: float = 20.0
    connect: float = 10.0
    """Seconds for a connection to be made."""
    silence: float = 30.0
    """Seconds without a byte after which a connection counts as cut."""
    parallel: int = 4
    """Files at a time."""
