"""The cache of weights on a node: whole entries, what was asked for when, who uses what, and room for more.

<cache>/hf--Qwen--Qwen3-8B--0123456789ab-1a2b3c4d5e/     a whole entry, .penstock.json in it
<cache>/hf--Qwen--Qwen3-8B--main-5e4d3c2b1a.partial/     a download that is not whole
<cache>/.refs/hf--Qwen--Qwen3-8B--main-5e4d3c2b1a.json   which entry a source led to last
<cache>/.locks/<name>.lock                               shared: in use; exclusive: being fetched or removed
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from penstock.engine.weights.eviction import Stored, plan_eviction
from penstock.engine.weights.locks import Lock, try_lock
from penstock.engine.weights.manifest import Manifest, damaged_files, read_manifest, write_durably
from penstock.engine.weights.partial import SUFFIX, Partial
from penstock.errors import WeightsError

_LOCKS, _REFS, _TRASH = ".locks", ".refs", ".trash-"
_ROOM = "room"
_POLL = 0.1
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
logger = logging.getLogger(__name__)


class Held:
    """Weights in place. Those of the cache are safe from eviction until `release`, the end of the context, or the end
    of the process, however it comes; an engine holds them as long as it lives."""

    def __init__(self, path: Path, *, resolved: str | None = None, lock: Lock | None = None) -> None:
        self.path = path
        self.resolved = resolved
        self._lock = lock

    def release(self) -> None:
        """Let them go; a second call does nothing."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"Held({str(self.path)!r})"


class _Ref(BaseModel):
    model_config = ConfigDict(extra="ignore")
    entry: str


class Store:
    """One cache folder. Raises OSError where the folder cannot be used."""

    def __init__(self, root: Path, limit: int | None) -> None:
        self.root = root
        self._limit = limit

    def open(self) -> None:
        """Make the folders. In a cache that may only be read they are missing, and nothing is locked."""
        for folder in (self.root, self.root / _LOCKS, self.root / _REFS):
            folder.mkdir(parents=True, exist_ok=True)

    def partial(self, source: str) -> Partial:
        """The folder of a source's download."""
        return Partial(self.root / f"{source}{SUFFIX}")

    def hold(self, entry: str) -> Held | None:
        """Hold a whole entry, or None where there is none. Damage counts as none, and is logged."""
        folder = self.root / entry
        if read_manifest(folder) is None:
            return None
        lock = self._shared(entry)
        # It may have been evicted before the lock was ours.
        manifest = read_manifest(folder)
        if manifest is None or (damaged := damaged_files(folder, manifest)):
            if lock is not None:
                lock.release()
            if manifest is not None:
                logger.warning("weights in the cache are damaged", extra={"fields": {"path": folder, "files": damaged}})
            return None
        with suppress(OSError):
            os.utime(self._lock_path(entry))
        return Held(folder, resolved=manifest.resolved, lock=lock)

    def manifest(self, entry: str) -> Manifest | None:
        """What an entry says of itself."""
        return read_manifest(self.root / entry)

    def remember(self, source: str, entry: str) -> None:
        """Note which entry a source led to."""
        if self.last(source) != entry:
            write_durably(self.root / _REFS / f"{source}.json", _Ref(entry=entry).model_dump_json().encode())

    def last(self, source: str) -> str | None:
        """The entry that a source led to last; it may be gone."""
        try:
            return _Ref.model_validate_json((self.root / _REFS / f"{source}.json").read_bytes()).entry
        except (OSError, ValidationError):
            return None

    def try_fetching(self, source: str) -> Lock | None:
        """The right to download a source, or None while another process has it."""
        path = self._lock_path(f"{source}{SUFFIX}")
        lock = try_lock(path)
        if lock is not None:
            os.utime(path)
        return lock

    def set_aside(self, entry: str) -> None:
        """Remove a damaged entry, so that a whole one can take its name. Raises WeightsError while it is in use."""
        if not self.remove(entry):
            raise WeightsError(
                f"The weights in {self.root / entry} are damaged, and an engine of this node uses them.",
                remedy="Stop that engine first; then they are fetched again.",
            )

    async def make_room(self, partial: Partial, *, total: int, missing: int) -> None:
        """Evict what it takes for a download of `total` bytes, of which `missing` are still to come.

        Raises WeightsError where the limit or the disk is too small.
        """
        with await self._locked(_ROOM):
            self._sweep()
            for _ in range(10):
                stored = self.stored(without=partial.folder.name)
                plan = plan_eviction(stored, total, self._limit)
                if plan is None:
                    raise self._over_limit(stored, total)
                if all(self._evict(item) for item in plan):
                    break
            free = shutil.disk_usage(self.root).free
            if free < missing:
                raise WeightsError(
                    f"The disk of the weights' cache {self.root} has {_size(free)} free, and {_size(missing)} are to"
                    " come.",
                    remedy="Free space there, or name a larger disk as weights.cache.",
                )

    def _evict(self, item: Stored) -> bool:
        removed = self.remove(item.name)
        if removed:
            logger.info("evicted weights", extra={"fields": {"entry": item.name, "bytes": item.size}})
        return removed

    def remove(self, name: str) -> bool:
        """Take a folder out. Returns False while it is in use."""
        lock = try_lock(self._lock_path(name))
        if lock is None:
            return False
        trash = self.root / f"{_TRASH}{uuid.uuid4().hex}"
        with lock, suppress(FileNotFoundError):
            # Gone in one step: nobody sees half an entry, not even after a kill in the middle.
            (self.root / name).rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def _sweep(self) -> None:
        for leftover in self.root.glob(f"{_TRASH}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def stored(self, *, without: str = "") -> list[Stored]:
        """All folders of the cache that are ours, but one."""
        found = []
        for folder in self.root.iterdir():
            if folder.name.startswith(".") or folder.name == without or not folder.is_dir():
                continue
            manifest = read_manifest(folder)
            if folder.name.endswith(SUFFIX):
                size = Partial(folder).planned_size()
            elif manifest is not None:
                size = manifest.size
            else:
                continue  # not ours: somebody put a folder into the cache
            lock = try_lock(self._lock_path(folder.name))
            if lock is not None:
                lock.release()
            found.append(Stored(folder.name, size, self._used(folder), in_use=lock is None))
        return found

    def _used(self, folder: Path) -> float:
        with suppress(OSError):
            return self._lock_path(folder.name).stat().st_mtime
        return folder.stat().st_mtime

    def _over_limit(self, stored: list[Stored], total: int) -> WeightsError:
        in_use = sum(item.size for item in stored if item.in_use)
        return WeightsError(
            f"These weights are {_size(total)}, and the cache {self.root} may hold {_size(self._limit or 0)}"
            + (f", of which {_size(in_use)} are in use." if in_use else "."),
            remedy=f"Raise weights.limit to {math.ceil((total + in_use) / 2**20)}Mi or more"
            + (", or stop a model that uses the cache." if in_use else "."),
        )

    async def _locked(self, name: str) -> Lock:
        while (lock := try_lock(self._lock_path(name))) is None:  # noqa: ASYNC110  # others cannot set an event
            await asyncio.sleep(_POLL)
        return lock

    def _shared(self, entry: str) -> Lock | None:
        try:
            while (lock := try_lock(self._lock_path(entry), shared=True)) is None:
                time.sleep(0.005)  # held exclusively only for the moment of a look or a rename
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}:
                raise
            return None  # a cache that may only be read: nobody evicts through it either
        return lock

    def _lock_path(self, name: str) -> Path:
        return self.root / _LOCKS / f"{name}.lock"


def _size(size: int) -> str:
    """`1.5 GiB`: for people, where the exact number of bytes says less."""
    if size < 1024:
        return f"{size} bytes"
    power = min(int(math.log(size, 1024)), 4)
    value = size / 1024**power
    return f"{value:.0f} {_UNITS[power]}" if value >= 100 else f"{value:.3g} {_UNITS[power]}"
