"""What makes a folder of the cache a whole entry: a manifest that lists its files, written last."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from penstock.engine.weights.files import RemoteFile

MANIFEST = ".penstock.json"


class Manifest(BaseModel):
    """The files of an entry, what they were fetched from, and when they were whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: str
    resolved: str
    completed: datetime
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an entry, or None where there is no readable one."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def damaged_files(folder: Path, manifest: Manifest) -> list[str]:
    """Files of an entry that are gone or have another size than when they were whole."""
    return [file.path for file in manifest.files if not has_size(folder / file.path, file.size)]


def has_size(path: Path, size: int) -> bool:
    """Whether a path is a regular file of so many bytes."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file as a whole: a reader, or a machine that loses power, sees the old one or the new one."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
