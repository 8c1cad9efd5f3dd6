"""The folder of a download that is not whole yet: its plan, what has arrived, and how far it is.

One per source, whichever version of it is fetched, so that a version that moves on keeps the files that stayed the
same. Files at their own names are verified; those under `.incoming` are not. Only the holder of the source's lock
writes; the progress may be read by anyone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from penstock.engine.weights.files import Progress, RemoteFile
from penstock.engine.weights.incoming import Incoming
from penstock.engine.weights.manifest import MANIFEST, Manifest, has_size, sync_folder, write_durably

SUFFIX = ".partial"
_PLAN = ".plan.json"
_PROGRESS = ".progress.json"
_INCOMING = ".incoming"


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    files: tuple[RemoteFile, ...]


class _Mark(BaseModel):
    model_config = ConfigDict(extra="ignore")
    done: int
    total: int | None
    file: str


class Partial:
    """A folder of a download. Methods that write need the lock of the source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, files: Sequence[RemoteFile]) -> None:
        """Make the folder fit a plan: what belongs to another version of a file goes, the rest stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (self.folder / MANIFEST).unlink()
        before = {file.path: file.fingerprint for file in self._planned()}
        still_right = {file.path for file in files if before.get(file.path) == file.fingerprint}
        for base in (self.folder, self.folder / _INCOMING):
            for path in list(_files_below(base)):
                if path not in still_right:
                    (base / path).unlink()
        write_durably(self.folder / _PLAN, _Plan(files=tuple(files)).model_dump_json().encode())

    def is_done(self, file: RemoteFile) -> bool:
        """Whether a file of the plan is there and was verified."""
        return has_size(self.folder / file.path, file.size)

    def incoming(self, file: RemoteFile) -> Incoming:
        """A file of the plan on its way in."""
        return Incoming(file, self.folder / _INCOMING / file.path, self.folder / file.path)

    def borrow(self, entry: Path, manifest: Manifest, files: Sequence[RemoteFile]) -> None:
        """Take the files that another version has with the same bytes, as second names of the same content."""
        same = {
            file.path: file.fingerprint
            for file in manifest.files
            if file.checksum and has_size(entry / file.path, file.size)
        }
        for file in files:
            if same.get(file.path) == file.fingerprint and not self.is_done(file):
                target = self.folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(OSError):  # a file system without links: it is downloaded then
                    os.link(entry / file.path, target)

    def arrived(self, files: Sequence[RemoteFile]) -> int:
        """Bytes of these files that are there, verified or not."""
        return sum(file.size if self.is_done(file) else self._incoming_size(file) for file in files)

    def planned_size(self) -> int:
        """Bytes that the folder will have in the end, or has now where there is no plan."""
        planned = sum(file.size for file in self._planned())
        return planned or sum(_size(self.folder / path) for path in _files_below(self.folder))

    def finish(self, entry: Path, *, source: str, resolved: str, files: Sequence[RemoteFile]) -> None:
        """Make it a whole entry of the cache: manifest, everything durable, then one rename."""
        manifest = Manifest(source=source, resolved=resolved, completed=datetime.now(UTC), files=tuple(files))
        shutil.rmtree(self.folder / _INCOMING, ignore_errors=True)
        write_durably(self.folder / MANIFEST, manifest.model_dump_json(indent=1).encode())
        for folder, _, _ in os.walk(self.folder):
            sync_folder(Path(folder))
        self.folder.rename(entry)
        sync_folder(entry.parent)
        for leftover in (_PLAN, _PROGRESS):
            with suppress(OSError):
                (entry / leftover).unlink()

    def write_progress(self, progress: Progress) -> None:
        """For others who wait for the same weights. Readers see a whole mark or none."""
        beside = self.folder / f"{_PROGRESS}.new"
        beside.write_text(_Mark(**progress._asdict()).model_dump_json(), encoding="utf-8")
        beside.replace(self.folder / _PROGRESS)

    def read_progress(self) -> Progress | None:
        """What the process that downloads says; None where nothing is said."""
        try:
            mark = _Mark.model_validate_json((self.folder / _PROGRESS).read_bytes())
        except (OSError, ValidationError):
            return None
        return Progress(mark.done, mark.total, mark.file)

    def _planned(self) -> tuple[RemoteFile, ...]:
        try:
            return _Plan.model_validate_json((self.folder / _PLAN).read_bytes()).files
        except (OSError, ValidationError):
            return ()

    def _incoming_size(self, file: RemoteFile) -> int:
        size = _size(self.folder / _INCOMING / file.path)
        return size if size <= file.size else 0


def _files_below(base: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(base):
        here = Path(folder)
        if here == base:
            folders[:] = [name for name in folders if not name.startswith(".")]  # our own; remotes' are left out
        for name in names:
            if here != base or not name.startswith("."):
                yield (here / name).relative_to(base).as_posix()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
