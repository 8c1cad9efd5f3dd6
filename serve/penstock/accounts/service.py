"""What administrators do with keys: the same for `penstock keys` and for `/admin/keys`.

A key is made here, handed out once, and kept as its hash alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import SecretStr

from penstock.accounts import secret
from penstock.accounts.account import Account
from penstock.accounts.errors import NoSuchKeyError, NotStoredError
from penstock.accounts.records import AuditEntry, KeyRecord, MadeKey, NewKey, NewLimits, Rotation, Source
from penstock.config.accounts import ListedKey

if TYPE_CHECKING:
    from penstock.accounts.store import Store

MOST_CHANGES = 1000

_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is mistaken for something else when it is read out."""


class KeyService:
    """Belongs to one event loop.

    Args:
        store: where keys are kept, opened; None where there are listed ones alone.
        listed: the keys of the document and of the file.
        wall: the time; for tests.
    """

    def __init__(
        self,
        store: Store | None,
        listed: Callable[[], list[Account]] = list,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._maybe_store = store
        self._listed = listed
        self._wall = wall

    async def create(self, new: NewKey, *, actor: str) -> MadeKey:
        """A new key. Raises NameTakenError, NotStoredError, StoreError."""
        key = secret.new_key()
        key_id = "key_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
        record = await self._store.add(new, key_id, _digest(key), actor=actor, now=self._wall())
        return _made(record, key)

    async def all_keys(self) -> list[KeyRecord]:
        """All keys: the store's by name, then the listed ones. Raises StoreError."""
        now = self._wall()
        stored = await self._maybe_store.all_keys(now) if self._maybe_store is not None else []
        return [*stored, *self._listed_records(now)]

    async def get(self, id_or_name: str) -> KeyRecord:
        """One key. Raises NoSuchKeyError, StoreError."""
        now = self._wall()
        for record in self._listed_records(now):
            if record.id == id_or_name:
                return record
        if self._maybe_store is None:
            raise NoSuchKeyError(f"There is no key {id_or_name[:100]!r}.")
        return await self._maybe_store.get(id_or_name, now)

    async def rotate(self, id_or_name: str, how: Rotation, *, actor: str) -> MadeKey:
        """Another secret for a key. Raises NoSuchKeyError, NotStoredError, StoreError."""
        key = secret.new_key()
        store = self._store_of(id_or_name)
        return _made(await store.rotate(id_or_name, _digest(key), how.overlap, actor=actor, now=self._wall()), key)

    async def disable(self, id_or_name: str, *, actor: str) -> KeyRecord:
        """Refuse a key from now on. Raises as `rotate`."""
        store = self._store_of(id_or_name)
        return await store.set_disabled(id_or_name, disabled=True, actor=actor, now=self._wall())

    async def enable(self, id_or_name: str, *, actor: str) -> KeyRecord:
        """Take a disabled key again. Raises as `rotate`."""
        store = self._store_of(id_or_name)
        return await store.set_disabled(id_or_name, disabled=False, actor=actor, now=self._wall())

    async def limit(self, id_or_name: str, new: NewLimits, *, actor: str) -> KeyRecord:
        """Other limits for a key. Raises as `rotate`."""
        return await self._store_of(id_or_name).set_limits(id_or_name, new.limits, actor=actor, now=self._wall())

    async def delete(self, id_or_name: str, *, actor: str) -> KeyRecord:
        """Forget a key. Raises as `rotate`."""
        return await self._store_of(id_or_name).delete(id_or_name, actor=actor, now=self._wall())

    async def changes(self, key_id: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The last changes, the latest first. Raises NotStoredError, StoreError."""
        return await self._store.changes(key_id, max(1, min(limit, MOST_CHANGES)))

    @property
    def _store(self) -> Store:
        if self._maybe_store is None:
            raise NotStoredError(
                "There is no store of keys here: they are listed in the document or in a file.",
                remedy="Name a store under accounts.database, or change the list.",
            )
        return self._maybe_store

    def _store_of(self, id_or_name: str) -> Store:
        if any(account.id == id_or_name for account in self._listed()):
            raise NotStoredError(
                f"The key {id_or_name[:120]!r} is listed, not stored.",
                remedy="Change it where it is listed: in the document, or in the file of keys.",
            )
        return self._store

    def _listed_records(self, now: datetime) -> list[KeyRecord]:
        return [_listed_record(account, now) for account in sorted(self._listed(), key=lambda account: account.id)]


def listed_entry(new: NewKey) -> tuple[str, ListedKey]:
    """A key, and what to list of it in the document or a file: for keys that no store knows."""
    key = secret.new_key()
    entry = ListedKey(
        hashes=[secret.written(_digest(key))],
        owner=new.owner,
        models=new.models,
        roles=new.roles,
        expires=new.expires,
        limits=new.limits,
    )
    return key, entry


def _digest(key: str) -> bytes:
    return secret.digest(key.encode())


def _made(record: KeyRecord, key: str) -> MadeKey:
    return MadeKey(**record.model_dump(), key=SecretStr(key))


def _listed_record(account: Account, now: datetime) -> KeyRecord:
    refusal = account.refusal_at(now.timestamp())
    source: Source = "document" if account.id.startswith("document:") else "file"
    return KeyRecord(
        id=account.id,
        name=account.name,
        owner=account.owner,
        models=list(account.models),
        roles=sorted(account.roles),
        state="disabled" if refusal == "disabled" else "expired" if refusal else "active",
        expires=None if account.until is None else datetime.fromtimestamp(account.until, UTC),
        source=source,
        limits=account.limits,
    )
