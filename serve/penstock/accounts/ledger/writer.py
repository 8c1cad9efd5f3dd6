"""Takes entries from the gateway and brings them to the journal and the store. Used by `opening` of the accounts.

The gateway's part is an append to a queue. One thread writes the queue to the journal, another the journal to the
store, so that a store that hangs holds up nobody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from penstock.accounts.errors import StoreError
from penstock.accounts.ledger import journal
from penstock.accounts.ledger.entry import Entry, encode
from penstock.accounts.ledger.journal import Journal
from penstock.accounts.ledger.store import RejectedError, UsageStore
from penstock.config.usage import UsageSettings

logger = logging.getLogger(__name__)

JOURNAL_EVERY: Final = 0.25
"""Seconds. What is younger is lost where the process is killed."""
TRY_AGAIN: Final = 1.0
"""Seconds between two tries to reach a store that is away."""
TIDY_EVERY: Final = 60.0
"""Seconds between two looks for what is to be forgotten."""
LAST_TRY: Final = 10.0
"""Seconds that the store has at the end. What it does not take then, the next start brings."""
MOST_IN_MEMORY: Final = 50_000
"""Entries that wait for a disk that does not take them."""


class Ledger:
    """Of one gateway.

    Args:
        settings: the document's `accounts.usage`.
        store: where entries go.
        folder: for the journal.
        wall: the time; for tests.
    """

    def __init__(
        self,
        settings: UsageSettings,
        store: UsageStore,
        folder: Path,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._store = store
        self._folder = folder
        self._wall = wall
        self._queue: deque[Entry] = deque()
        self._journal: Journal | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._written = threading.Event()
        """Set once the queue was written for the last time."""
        self._threads: list[threading.Thread] = []
        self._told = ""
        self._disk_fails = False
        self.lost = 0
        """Entries that are nowhere."""
        self.stored = 0
        """Entries that the store has from here."""
        self.store_fails = False

    @property
    def buffered(self) -> int:
        """Bytes on disk that the store has not yet."""
        return self._journal.size if self._journal is not None else 0

    @property
    def is_full(self) -> bool:
        """Whether no more entry can be kept for a store that is away."""
        return self._disk_fails or self.buffered >= self._settings.buffer

    @property
    def refuses(self) -> bool:
        """Whether requests are to be refused, because they could not be counted."""
        return self._settings.when_full == "refuse" and self.is_full

    def note(self, entry: Entry) -> None:
        """Keep an entry. Takes a microsecond, and never fails."""
        if len(self._queue) >= MOST_IN_MEMORY:
            self.lost += 1
            return
        self._queue.append(entry)

    def start(self) -> None:
        """Open the journal, take over what was left behind, and begin to write. Raises OSError."""
        self._journal = Journal(self._folder)
        self._threads = [
            threading.Thread(target=self._write_journal, name="usage-journal", daemon=True),
            threading.Thread(target=self._write_store, name="usage-store", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Write what there is: to disk in any case, and to the store if it takes it. Blocks for some seconds at most;
        call it in a thread."""
        self._stop.set()
        end = time.monotonic() + 2 * LAST_TRY
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            # A store that hangs would hold up the end of the process. What is on disk, the next start brings.
            logger.error("the ledger's store hangs, and has not taken everything")
            return
        if self._journal is not None:
            self._journal.close()
        self._store.close()

    def _write_journal(self) -> None:
        try:
            while not self._stop.wait(JOURNAL_EVERY):
                self._safely(self._journal_queue)
            self._safely(self._journal_queue)
        finally:
            self._written.set()

    def _journal_queue(self) -> None:
        entries = [self._queue.popleft() for _ in range(len(self._queue))]
        assert self._journal is not None
        if not entries:
            return
        if self.buffered >= self._settings.buffer:
            self._lose(len(entries), "the store is away, and the journal is as large as accounts.usage.buffer allows")
            return
        try:
            with self._lock:
                self._journal.append(map(encode, entries))
        except OSError as error:
            self._disk_fails = True
            self._tell(f"the journal of usage cannot be written: {error.strerror or error}")
            room = MOST_IN_MEMORY - len(self._queue)
            self._queue.extendleft(reversed(entries[:room]))
            if len(entries) > room:
                self._lose(len(entries) - room, "the journal cannot be written")
        else:
            self._disk_fails = False

    def _write_store(self) -> None:
        tidied = 0.0
        while not self._written.is_set():
            self._stop.wait(TRY_AGAIN if self.store_fails else self._settings.flush)
            if not self._stop.is_set():
                self._safely(self._empty_journal)
                if not self.store_fails and time.monotonic() - tidied >= TIDY_EVERY:
                    tidied = time.monotonic()
                    self._safely(self._tidy)
            else:
                self._written.wait()
        self._safely(lambda: self._empty_journal(until=time.monotonic() + LAST_TRY))

    def _safely(self, work: Callable[[], None]) -> None:
        """A defect must not end a thread: then nothing would be counted any more, and nobody would know."""
        try:
            work()
        except Exception:
            self.store_fails = True
            logger.exception("the ledger has a defect")

    def _empty_journal(self, until: float | None = None) -> None:
        assert self._journal is not None
        with self._lock:
            self._journal.turn()
            paths = self._journal.closed()
        for path in paths:
            if until is not None and time.monotonic() > until:
                return
            try:
                self._store.open()
                self._bring(path)
            except StoreError as error:
                self.store_fails = True
                self._tell(error.message)
                return
            except OSError as error:
                # What cannot be read now never will be; it must not hold up the others.
                self._lose(0, f"a file of the journal cannot be read: {error.strerror or error}")
            if self.store_fails:
                self.store_fails = False
                self._told = ""
                logger.info("the ledger's store is there again")
            with self._lock:
                self._journal.drop(path)

    def _bring(self, path: Path) -> None:
        lines = list(journal.read(path))
        entries = [entry for entry in lines if entry is not None]
        if len(entries) < len(lines):
            logger.warning("lines of the journal are no entries: their writer was killed, or the disk is not sound")
        try:
            self._store.add(entries)
        except RejectedError:
            # One that the store does not take must not hold up those that it takes.
            for entry in entries:
                self._bring_one(entry)
        self.stored += len(entries)

    def _bring_one(self, entry: Entry) -> None:
        try:
            self._store.add([entry])
        except RejectedError as error:
            self._lose(1, f"the store does not take it: {error}")

    def _tidy(self) -> None:
        now = self._wall()
        requests_before = now - timedelta(seconds=self._settings.keep_requests)
        hours_before = now - timedelta(seconds=self._settings.keep_hours)
        try:
            self._store.open()
            while self._store.forget(requests_before, hours_before) and not self._stop.is_set():
                pass
        except StoreError as error:
            self.store_fails = True
            self._tell(error.message)

    def _lose(self, entries: int, reason: str) -> None:
        self.lost += entries
        logger.error("usage is lost", extra={"fields": {"requests": entries, "reason": reason}})

    def _tell(self, reason: str) -> None:
        if reason != self._told:
            self._told = reason
            logger.error("usage is kept on disk, and not in the store", extra={"fields": {"reason": reason}})
