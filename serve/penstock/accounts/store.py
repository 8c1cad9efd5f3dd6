"""Keys in a database: SQLite on one machine, PostgreSQL for several gateways. Used by `directory` and `service`.

Every change is one transaction together with its entry in the log of changes. Look-ups are one statement on a
connection that needs no transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, event, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from penstock.accounts.account import Account, earliest
from penstock.accounts.address import Address
from penstock.accounts.errors import NameTakenError, NoSuchKeyError, StoreError
from penstock.accounts.migrating import migrate
from penstock.accounts.records import AuditEntry, Change, KeyRecord, NewKey
from penstock.accounts.tables import audit, hashes, keys
from penstock.config.limits import KeyLimits

logger = logging.getLogger(__name__)

_CONNECTIONS = 4
_RECYCLE = 1800
_BUSY = 5000
"""Milliseconds that SQLite waits for another writer."""
_UNREACHABLE = (DBAPIError, PoolTimeoutError, OSError)
_READ = {"isolation_level": "AUTOCOMMIT"}


class Store:
    """Belongs to one event loop. `open` it first; until then every call raises StoreError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine: AsyncEngine | None = None

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._address.name

    async def open(self) -> None:
        """Bring the tables up to date. Raises StoreError."""
        try:
            await asyncio.to_thread(migrate, self._address)
        except _UNREACHABLE as error:
            raise self._unreachable(error) from None
        self._engine = _engine(self._address)

    async def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def find(self, digest: bytes) -> Account | None:
        """The account of a key's digest, also where it is disabled or expired. Raises StoreError."""
        query = (
            select(keys, hashes.c.retires)
            .join_from(hashes, keys, hashes.c.key_id == keys.c.id)
            .where(hashes.c.digest == digest)
        )
        async with self._reaching():
            row = await self._first(query)
        if row is None:
            return None
        ends = (moment.timestamp() for moment in (row.expires, row.retires) if moment is not None)
        return Account(
            id=row.id,
            name=row.name,
            owner=row.owner,
            models=tuple(row.models),
            roles=frozenset(row.roles),
            disabled=row.disabled,
            until=earliest(ends),
            limits=_limits(row.limits),
        )

    async def _first(self, query: Select[Any]) -> Row[Any] | None:
        try:
            async with self._reading() as connection:
                found: Row[Any] | None = (await connection.execute(query)).first()
        except DBAPIError as error:
            # A connection that died while nobody used it says nothing about the store; its end closed all the others.
            if not error.connection_invalidated:
                raise
            async with self._reading() as connection:
                found = (await connection.execute(query)).first()
        return found

    async def all_keys(self, now: datetime) -> list[KeyRecord]:
        """All keys by name. Raises StoreError."""
        async with self._reaching(), self._reading() as connection:
            rows = (await connection.execute(select(keys).order_by(keys.c.name))).all()
            ends = (await connection.execute(select(hashes.c.key_id, hashes.c.retires))).all()
        retiring: dict[str, list[datetime]] = {}
        for key_id, moment in ends:
            if moment is not None and moment > now:
                retiring.setdefault(key_id, []).append(moment)
        return [_record(row, sorted(retiring.get(row.id, [])), now) for row in rows]

    async def get(self, id_or_name: str, now: datetime) -> KeyRecord:
        """One key. Raises NoSuchKeyError, StoreError."""
        async with self._reaching(), self._reading() as connection:
            return await _get(connection, id_or_name, now)

    async def add(self, new: NewKey, key_id: str, digest: bytes, *, actor: str, now: datetime) -> KeyRecord:
        """A new key. Raises NameTakenError, StoreError."""
        values = {**new.model_dump(include={"name", "owner", "models", "roles", "expires"}), "id": key_id}
        values["limits"] = _written(new.limits)
        try:
            async with self._reaching(), self._writing() as connection:
                await connection.execute(insert(keys).values(**values, created=now, disabled=False))
                await connection.execute(insert(hashes).values(digest=digest, key_id=key_id, created=now))
                details = new.model_dump(mode="json", exclude_none=True, exclude={"limits"})
                if new.limits is not None:
                    details["limits"] = _written(new.limits)
                await _note(connection, "create", key_id, details, actor=actor, now=now)
                return await _get(connection, key_id, now)
        except IntegrityError:
            raise NameTakenError(
                f"There is a key with the name {new.name!r} already.",
                remedy="Choose another name, rotate that key, or delete it.",
            ) from None

    async def rotate(self, id_or_name: str, digest: bytes, overlap: float, *, actor: str, now: datetime) -> KeyRecord:
        """Another secret for a key; those before it end after `overlap` seconds. Raises NoSuchKeyError, StoreError."""
        end = now + timedelta(seconds=overlap)
        async with self._reaching(), self._writing() as connection:
            key = await _get(connection, id_or_name, now, lock=True)
            own = hashes.c.key_id == key.id
            await connection.execute(delete(hashes).where(own, hashes.c.retires <= now))
            later = or_(hashes.c.retires.is_(None), hashes.c.retires > end)
            await connection.execute(update(hashes).where(own, later).values(retires=end))
            await connection.execute(insert(hashes).values(digest=digest, key_id=key.id, created=now))
            await _note(connection, "rotate", key.id, {"name": key.name, "overlap": overlap}, actor=actor, now=now)
            return await _get(connection, key.id, now)

    async def set_disabled(self, id_or_name: str, *, disabled: bool, actor: str, now: datetime) -> KeyRecord:
        """Disable a key, or enable it again. Raises NoSuchKeyError, StoreError."""
        async with self._reaching(), self._writing() as connection:
            key = await _get(connection, id_or_name, now, lock=True)
            await connection.execute(update(keys).where(keys.c.id == key.id).values(disabled=disabled))
            action: Change = "disable" if disabled else "enable"
            await _note(connection, action, key.id, {"name": key.name}, actor=actor, now=now)
            return await _get(connection, key.id, now)

    async def set_limits(self, id_or_name: str, limits: KeyLimits | None, *, actor: str, now: datetime) -> KeyRecord:
        """Other limits for a key. Raises NoSuchKeyError, StoreError."""
        async with self._reaching(), self._writing() as connection:
            key = await _get(connection, id_or_name, now, lock=True)
            await connection.execute(update(keys).where(keys.c.id == key.id).values(limits=_written(limits)))
            details = {"name": key.name, "limits": _written(limits)}
            await _note(connection, "limit", key.id, details, actor=actor, now=now)
            return await _get(connection, key.id, now)

    async def delete(self, id_or_name: str, *, actor: str, now: datetime) -> KeyRecord:
        """Forget a key; what was noted of it stays. The key as it was. Raises NoSuchKeyError, StoreError."""
        async with self._reaching(), self._writing() as connection:
            key = await _get(connection, id_or_name, now, lock=True)
            await connection.execute(delete(keys).where(keys.c.id == key.id))
            await _note(connection, "delete", key.id, {"name": key.name, "owner": key.owner}, actor=actor, now=now)
            return key

    async def changes(self, key_id: str | None, limit: int) -> list[AuditEntry]:
        """The last changes, of one key or of all, the latest first. Raises StoreError."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if key_id is not None:
            query = query.where(audit.c.key_id == key_id)
        async with self._reaching(), self._reading() as connection:
            rows = (await connection.execute(query)).all()
        return [AuditEntry.model_validate(dict(row._mapping)) for row in rows]  # noqa: SLF001  # its documented name

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._opened().connect() as connection:
            yield await connection.execution_options(**_READ)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        async with self._opened().begin() as connection:
            yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreError(f"The store of keys, {self.name}, has not been opened yet.")
        return self._engine

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except _UNREACHABLE as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> StoreError:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if self._address.password:
            said = said.replace(self._address.password, "***")
        return StoreError(
            f"The store of keys, {self.name}, cannot be used: {said or type(error).__name__}.",
            remedy="Look whether it runs, and whether its address, user and password are right.",
        )


def _engine(address: Address) -> AsyncEngine:
    if not address.is_sqlite:
        return create_async_engine(
            address.url,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_recycle=_RECYCLE,
            # A pooler such as PgBouncer hands each statement to another connection, which knows none that was prepared.
            connect_args={"prepare_threshold": None},
        )
    engine = create_async_engine(address.url.set(drivername="sqlite+aiosqlite"), pool_size=_CONNECTIONS, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _(connection: Connection) -> None:
        # Whoever reads in order to write has the lock from the start, so that no two change the same at once.
        if connection.get_execution_options().get("isolation_level") != _READ["isolation_level"]:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def _get(connection: AsyncConnection, id_or_name: str, now: datetime, *, lock: bool = False) -> KeyRecord:
    query = select(keys).where(or_(keys.c.id == id_or_name, keys.c.name == id_or_name))
    rows = (await connection.execute(query.with_for_update() if lock else query)).all()
    # The id of one may be the name of another; the id means it.
    row = next((row for row in rows if row.id == id_or_name), rows[0] if rows else None)
    if row is None:
        raise NoSuchKeyError(
            f"There is no key {id_or_name[:100]!r} in the store.",
            remedy="penstock keys list shows those that there are.",
        )
    ends = await connection.execute(
        select(hashes.c.retires).where(hashes.c.key_id == row.id, hashes.c.retires > now).order_by(hashes.c.retires)
    )
    return _record(row, list(ends.scalars()), now)


async def _note(
    connection: AsyncConnection, action: Change, key_id: str, details: dict[str, Any], *, actor: str, now: datetime
) -> None:
    await connection.execute(
        insert(audit).values(at=now, actor=actor[:200], action=action, key_id=key_id, details=details)
    )


def _written(limits: KeyLimits | None) -> dict[str, Any] | None:
    return None if limits is None else limits.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _limits(written: dict[str, Any] | None) -> KeyLimits | None:
    return None if written is None else KeyLimits.model_validate(written)


def _record(row: Row[Any], retiring: list[datetime], now: datetime) -> KeyRecord:
    expired = row.expires is not None and row.expires <= now
    return KeyRecord(
        id=row.id,
        name=row.name,
        owner=row.owner,
        models=row.models,
        roles=row.roles,
        state="disabled" if row.disabled else "expired" if expired else "active",
        expires=row.expires,
        created=row.created,
        limits=_limits(row.limits),
        retiring=[moment.astimezone(UTC) for moment in retiring],
    )
