"""The ledger of one gateway: opened, asked and closed with its accounts. Used by `opening` of the accounts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from penstock import environment
from penstock.accounts.address import Address
from penstock.accounts.ledger.entry import Entry
from penstock.accounts.ledger.report import Question, UsageReport
from penstock.accounts.ledger.store import UsageStore
from penstock.accounts.ledger.writer import Ledger
from penstock.config.usage import UsageSettings

FOLDER = "usage"


class OpenUsage:
    """Belongs to one event loop.

    Args:
        settings: the document's `accounts.usage`.
        address: of the store.
    """

    def __init__(self, settings: UsageSettings, address: Address) -> None:
        named = settings.directory
        folder = Path(named).expanduser() if named is not None else environment.state_directory() / FOLDER
        self.ledger = Ledger(settings, UsageStore(address), folder)
        self._asked = UsageStore(address)
        self._started = False

    @property
    def refuses(self) -> bool:
        """Whether requests are to be refused, because they could not be counted."""
        return self.ledger.refuses

    def note(self, entry: Entry) -> None:
        """A request is over."""
        self.ledger.note(entry)

    async def report(self, question: Question) -> UsageReport:
        """What is asked for; what is younger than `usage.flush` may be missing. Raises StoreError."""

        def ask() -> UsageReport:
            self._asked.open()
            return self._asked.report(question, datetime.now(UTC))

        return await asyncio.to_thread(ask)

    async def start(self) -> None:
        """Begin to write. Raises OSError where the folder cannot be used."""
        if not self._started:
            await asyncio.to_thread(self.ledger.start)
            self._started = True

    async def close(self) -> None:
        """Write what there is, for some seconds at most."""
        await asyncio.to_thread(self.ledger.close)
        await asyncio.to_thread(self._asked.close)
