"""Fetch the weights of a source, or find them in the cache. Called by engine replicas, `penstock pull` and `doctor`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from penstock.config import Source, Weights
from penstock.engine.weights.errors import ChangedError, FetchCancelledError, UnreachableError, from_os_error
from penstock.engine.weights.files import Cancelled, Listing, Patience, Progress, RemoteFile, Report, Snapshot
from penstock.engine.weights.hub import is_commit
from penstock.engine.weights.local import check_model, list_local, local_path
from penstock.engine.weights.locks import Lock
from penstock.engine.weights.names import entry_name, is_safe_path, source_name
from penstock.engine.weights.partial import Partial
from penstock.engine.weights.places import endpoint_of, open_remote
from penstock.engine.weights.remote import Remote
from penstock.engine.weights.select import missing_from_model, select
from penstock.engine.weights.store import Held, Store
from penstock.engine.weights.transfer import Tally, Transfer, new_session
from penstock.errors import WeightsError

_PULSE = 0.1
"""Seconds between looks at `cancelled`, and between reports."""
_ANNOUNCE = 0.5
"""Seconds between marks of progress for processes that wait."""
_LISTINGS = 4
"""Times that a source may change under a fetch before it is an error."""

logger = logging.getLogger(__name__)


def fetch(
    source: Source,
    settings: Weights,
    *,
    report: Report = lambda _: None,
    cancelled: Cancelled = lambda: False,
    patience: Patience | None = None,
) -> Held:
    """Have the weights of a source on this machine, and hold them.

    Blocks, for hours where they are large: call it in a thread of its own, outside an event loop. `report` is called
    from that thread at most every tenth of a second, `cancelled` as often. Folders and claims are used in place.
    Where several processes want the same weights one downloads and the others wait, reporting its progress.

    Returns:
        what holds the weights; `.path` is the folder (or file) for the engine. Release it when the engine is gone.

    Raises:
        WeightsError: they cannot be had; FetchCancelledError after `cancelled`. A download is resumed next time.
    """
    if source.scheme in {"file", "pvc"}:
        path = local_path(source, settings)
        check_model(path, name=str(source))
        return Held(path)
    cache = Path(settings.cache).expanduser()
    fetching = _Fetch(source, settings, Store(cache, settings.limit), patience or Patience())
    try:
        return asyncio.run(_watched(fetching.run(), fetching.tally, report, cancelled))
    except OSError as error:
        raise from_os_error(error, cache) from error


def inspect(source: Source, settings: Weights, *, patience: Patience | None = None) -> Listing:
    """What `fetch` would bring, with sizes, and whether it is here already. Downloads nothing, writes nothing.

    Raises WeightsError as `fetch` does, UnreachableError where nobody answers.
    """
    if source.scheme in {"file", "pvc"}:
        return list_local(source, settings)
    store = Store(Path(settings.cache).expanduser(), settings.limit)
    return asyncio.run(_inspect(source, settings, store, patience or Patience(attempts=2)))


async def _inspect(source: Source, settings: Weights, store: Store, patience: Patience) -> Listing:
    async with new_session(patience) as http:
        snapshot = await open_remote(source, settings, http, patience).snapshot()
    needed, skipped = _needed(source, snapshot)
    manifest = store.manifest(entry_name(source, endpoint_of(source, settings), snapshot.resolved))
    return Listing(source, snapshot.resolved, tuple(needed), tuple(skipped), cached=manifest is not None)


def _needed(source: Source, snapshot: Snapshot) -> tuple[list[RemoteFile], list[RemoteFile]]:
    for file in snapshot.files:
        if not is_safe_path(file.path):
            raise WeightsError(f"{source} holds a file whose name leads elsewhere: {file.path!r}. Nothing was fetched.")
    if not snapshot.files:
        raise WeightsError(f"{source} holds no files.", remedy="Check the path in the source.")
    needed, skipped = select(snapshot.files)
    if missing := missing_from_model(file.path for file in needed):
        # What was left out explains better what is missing, as in a repository of GGUF files.
        missing = missing_from_model(file.path for file in snapshot.files) or missing
        raise WeightsError(
            f"{source} is no model that vLLM loads: it lacks {missing}.",
            remedy="Name the place that holds config.json and the weights.",
        )
    return needed, skipped


class _Fetch:
    """One fetch of a remote source."""

    def __init__(self, source: Source, settings: Weights, store: Store, patience: Patience) -> None:
        self._source = source
        self._settings = settings
        self._store = store
        self._patience = patience
        self._name = source_name(source, endpoint_of(source, settings))
        self._partial = store.partial(self._name)
        self._lock: Lock | None = None
        self.tally = Tally()

    async def run(self) -> Held:
        if is_commit(self._source.revision) and (held := self._store.hold(self._entry(str(self._source.revision)))):
            return self._whole(held)
        for _ in range(_LISTINGS):
            try:
                return await self._online()
            except UnreachableError as error:
                return self._offline(error)
            except ChangedError as error:
                logger.warning("the source changed while it was read", extra={"fields": {"source": str(self._source)}})
                reason = str(error)
        raise WeightsError(
            f"{self._source} changed each time it was read: {reason}.",
            remedy="Wait until whoever writes there is done, and start again.",
        )

    async def _online(self) -> Held:
        known = self._store.last(self._name)
        # Whoever has a copy need not wait long for a hub that is away.
        patience = self._patience if known is None else replace(self._patience, attempts=1)
        async with new_session(self._patience) as http:
            remote = open_remote(self._source, self._settings, http, patience)
            snapshot = await remote.snapshot()
            entry = self._entry(snapshot.resolved)
            if held := self._store.hold(entry):
                return self._whole(held)
            needed, _ = _needed(self._source, snapshot)
            self._store.open()
            with await self._turn():
                # Another process may have fetched it while this one waited.
                if (held := self._store.hold(entry)) is None:
                    await self._download(remote, http, entry, snapshot.resolved, needed)
                    held = self._store.hold(entry)
            if held is None:
                raise ChangedError("the weights were evicted as soon as they were there")
            return self._whole(held)

    async def _turn(self) -> Lock:
        """Wait until no other process downloads this source, reporting that one's progress meanwhile."""
        waited = False
        while (lock := self._store.try_fetching(self._name)) is None:
            if not waited:
                logger.info("another process fetches these weights", extra={"fields": {"source": str(self._source)}})
            waited = True
            if seen := self._partial.read_progress():
                self.tally.done, self.tally.total, self.tally.file = seen
            await asyncio.sleep(_PULSE)
        return lock

    async def _download(
        self, remote: Remote, http: aiohttp.ClientSession, entry: str, resolved: str, files: list[RemoteFile]
    ) -> None:
        partial, tally = self._partial, self.tally
        partial.prepare(files)
        self._borrow(files, entry)
        arrived, total = partial.arrived(files), sum(file.size for file in files)
        tally.done, tally.total = arrived, total
        await self._store.make_room(partial, total=total, missing=total - arrived)
        logger.info(
            "fetching weights",
            extra={"fields": {"source": str(self._source), "version": resolved, "bytes": total, "arrived": arrived}},
        )
        transfer = Transfer(remote, http, self._patience, tally)
        slots = asyncio.Semaphore(self._patience.parallel)

        async def bring(file: RemoteFile) -> None:
            async with slots:
                await transfer.bring(file, partial.incoming(file))

        announcing = asyncio.create_task(_announce(partial, tally))
        try:
            async with asyncio.TaskGroup() as group:
                for file in sorted(files, key=lambda file: -file.size):
                    if not partial.is_done(file):
                        group.create_task(bring(file))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            announcing.cancel()
        check_model(partial.folder, name=str(self._source))
        folder = self._store.root / entry
        await asyncio.to_thread(partial.finish, folder, source=str(self._source), resolved=resolved, files=files)
        logger.info("fetched weights", extra={"fields": {"source": str(self._source), "path": str(folder)}})

    def _borrow(self, files: list[RemoteFile], entry: str) -> None:
        """Use what is here already: the version before this one, and what is right in a damaged copy."""
        for other in {self._store.last(self._name), entry} - {None}:
            if other is not None and (manifest := self._store.manifest(other)) is not None:
                self._partial.borrow(self._store.root / other, manifest, files)
        if (self._store.root / entry).exists():
            self._store.set_aside(entry)

    def _offline(self, error: UnreachableError) -> Held:
        known = self._store.last(self._name)
        held = self._store.hold(known) if known is not None else None
        if held is None:
            raise error
        logger.warning(
            "using the cached weights, which may not be the latest: the source cannot be reached",
            extra={"fields": {"source": str(self._source), "version": held.resolved, "error": error.message}},
        )
        return self._done(held)

    def _whole(self, held: Held) -> Held:
        with suppress(PermissionError):  # a cache that may only be read
            self._store.remember(self._name, held.path.name)
        return self._done(held)

    def _done(self, held: Held) -> Held:
        manifest = self._store.manifest(held.path.name)
        self.tally.done = self.tally.total = manifest.size if manifest is not None else self.tally.done
        return held

    def _entry(self, resolved: str) -> str:
        return entry_name(self._source, endpoint_of(self._source, self._settings), resolved)


async def _announce(partial: Partial, tally: Tally) -> None:
    while True:
        with suppress(OSError):  # nobody's download fails for want of a report
            partial.write_progress(tally.progress())
        await asyncio.sleep(_ANNOUNCE)


async def _watched(work: Coroutine[Any, Any, Held], tally: Tally, report: Report, cancelled: Cancelled) -> Held:
    """Do the work, reporting on it, until it is done or not wanted any more."""
    task = asyncio.create_task(work)
    seen: Progress | None = None
    try:
        while not task.done():
            _stop_if(cancelled)
            if (now := tally.progress()) != seen and now.total is not None:
                seen = now
                report(now)
            await asyncio.wait({task}, timeout=_PULSE)
    except BaseException:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            task.result().release()  # it was done in the same moment
        raise
    held = task.result()
    if (now := tally.progress()) != seen:
        report(now)
    return held


def _stop_if(cancelled: Cancelled) -> None:
    if cancelled():
        raise FetchCancelledError
