"""The accounts of one gateway: all sources of keys, opened, watched and closed together. Used by the gateway.

A store or an issuer that cannot be reached at the start is tried again until it can; so long the gateway is not ready.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.accounts.directory import Directory
from penstock.accounts.errors import IssuerError, StoreError
from penstock.accounts.listed import KeysFile, accounts_of
from penstock.accounts.service import KeyService
from penstock.config.accounts import Accounts, ListedKey
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from penstock.accounts.ledger.opening import OpenUsage
    from penstock.accounts.oidc import Tokens
    from penstock.accounts.store import Store

logger = logging.getLogger(__name__)

TRY_AGAIN = 1.0
"""Seconds between two tries to open the store or the file at the start."""


class OpenAccounts:
    """Belongs to one event loop. Raises StoreError where the address of the store cannot be read.

    Args:
        settings: as `assembly` resolved them from the document's `accounts`.
    """

    def __init__(self, settings: Accounts) -> None:
        self.settings = settings
        self._store: Store | None = None
        self._store_kind = ""
        self.usage: OpenUsage | None = None
        """The ledger; None where usage is not kept."""
        if settings.database is not None:
            # Only now: where there is no store, nobody waits for the libraries of databases.
            from penstock.accounts.address import address_of  # noqa: PLC0415
            from penstock.accounts.store import Store  # noqa: PLC0415

            address = address_of(settings.database)
            self._store, self._store_kind = Store(address), address.kind
            if settings.counts_usage:
                from penstock.accounts.ledger.opening import OpenUsage  # noqa: PLC0415

                self.usage = OpenUsage(settings.usage, address)
        self.directory = Directory(self._store, life=settings.recheck, outage=settings.outage)
        self.service = KeyService(self._store, lambda: self.directory.listed)
        self._file: KeysFile | None = None
        if settings.keys_file is not None:
            path = Path(settings.keys_file).expanduser()
            self._file = KeysFile(path, lambda accounts: self.directory.replace("file", accounts))
        self.tokens: Tokens | None = None
        """Bearer tokens of an issuer; None where the document names none."""
        if settings.oidc is not None:
            # As above, of the libraries that check signatures.
            from penstock.accounts.oidc import Tokens  # noqa: PLC0415

            self.tokens = Tokens(settings.oidc, outage=settings.outage)
        self._store_is_open = False
        self._missing = "The sources of keys have not been opened yet."
        self._told = ""
        self._knows_document = False
        self._work: asyncio.Task[None] | None = None

    @property
    def missing(self) -> str:
        """Why not every key can be checked, since the start; empty once they can. Anybody may read it."""
        if not self._knows_document:
            return "This gateway has not been told of the document's keys yet."
        return self._missing

    @property
    def unreachable(self) -> str:
        """What to say where the store does not answer. Anybody may read it."""
        return f"The store of keys ({self._store_kind}) cannot be reached; the gateway's log says why."

    @property
    def issuer_unreachable(self) -> str:
        """What to say where the issuer of tokens does not answer. Anybody may read it."""
        issuer = self.settings.oidc.issuer if self.settings.oidc is not None else ""
        return f"The issuer of tokens, {issuer}, cannot be reached; the gateway's log says why."

    def replace_keys(self, keys: Mapping[str, ListedKey]) -> None:
        """Take other keys from the document. Until the first time, no key is called unknown."""
        self._knows_document = True
        self.directory.replace("document", accounts_of(keys, "document"))

    async def start(self) -> None:
        """Open all sources. What fails is tried again in the background; `missing` says whether anything did."""
        await self._try_to_open()
        self._work = asyncio.get_running_loop().create_task(self._open_and_watch(), name="accounts")

    async def close(self) -> None:
        """Stop, and close all connections."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self.directory.close()
        if self.tokens is not None:
            await self.tokens.close()
        if self.usage is not None:
            await self.usage.close()
        if self._store is not None:
            await self._store.close()

    async def _open_and_watch(self) -> None:
        while self._missing:
            await asyncio.sleep(TRY_AGAIN)
            await self._try_to_open()
        if self._file is not None:
            await self._file.watch()

    async def _try_to_open(self) -> None:
        try:
            if self._file is not None:
                self._file.load()
        except DocumentError as error:
            self._tell("The file of keys cannot be read; the gateway's log says why.", error.message)
            return
        try:
            if self.usage is not None:
                await self.usage.start()
        except OSError as error:
            said = f"{error.strerror or error}: {error.filename}"
            self._tell("The folder for usage cannot be used; the gateway's log says why.", said)
            return
        try:
            if self._store is not None and not self._store_is_open:
                await self._store.open()
                self._store_is_open = True
            if self.tokens is not None:
                await self.tokens.open()
        except StoreError as error:
            self._tell(self.unreachable, error.message)
            return
        except IssuerError as error:
            self._tell(self.issuer_unreachable, error.message)
            return
        self._missing = ""

    def _tell(self, missing: str, reason: str) -> None:
        self._missing = missing
        if reason != self._told:
            self._told = reason
            logger.error("keys cannot be checked yet", extra={"fields": {"reason": reason}})
