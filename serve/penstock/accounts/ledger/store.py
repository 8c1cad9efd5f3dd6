"""The ledger in a database: entries, their sums by hour and day, what is asked of them, and what is forgotten. Used by
`writer` and `reports`, from threads.

An entry and its part in the sums are one transaction, and only what was not there yet is added to the sums. So a file
of the journal may be written as often as need be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from penstock.accounts.address import Address
from penstock.accounts.errors import StoreError
from penstock.accounts.ledger.entry import Entry, text
from penstock.accounts.ledger.report import Question, UsageReport, UsageRow, bounds, grain_of, hour_of, total
from penstock.accounts.limits.rules import BILLIONTHS
from penstock.accounts.migrating import migrate
from penstock.accounts.tables import usage, usage_days, usage_hours

AT_ONCE: Final = 500
"""Entries of a transaction at most."""
_FORGET_AT_ONCE: Final = 1000
_CONNECTIONS: Final = 2
_BUSY: Final = 5.0
"""Seconds that SQLite waits for another writer."""
_UNREACHABLE: Final = (DBAPIError, PoolTimeoutError, OSError)
_READS: Final = {"penstock_reads": True}
_SUMS: Final = ("requests", "failed", "guessed", "prompt", "completion", "cached", "cache_hits", "provided", "cost")
_FROM_CACHE: Final = frozenset({"hit", "joined"})


class RejectedError(Exception):
    """The store is there, and does not take these entries, whenever they come."""


class UsageStore:
    """Safe to use from several threads. `open` it first; until then every call raises StoreError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine: Engine | None = None

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return self._address.name

    def open(self) -> None:
        """Bring the tables up to date. Does nothing where it is open. Raises StoreError."""
        if self._engine is None:
            with self._reaching():
                migrate(self._address)
                self._engine = _engine(self._address)

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def add(self, entries: Sequence[Entry]) -> None:
        """Entries that the store may have already. Raises StoreError, RejectedError."""
        for start in range(0, len(entries), AT_ONCE):
            self._add(entries[start : start + AT_ONCE])

    def _add(self, entries: Sequence[Entry]) -> None:
        rows = {entry.uid: _row(entry) for entry in entries}
        try:
            with self._writing() as connection:
                insert = self._insert(usage).on_conflict_do_nothing().returning(usage.c.uid)
                # In one order, so that two gateways do not wait for each other.
                new = connection.execute(insert, [rows[uid] for uid in sorted(rows)]).scalars().all()
                for table, start_of in ((usage_hours, hour_of), (usage_days, _day_of)):
                    self._add_sums(connection, table, _sums([rows[uid.hex()] for uid in new], start_of))
        except (DataError, IntegrityError) as error:
            raise RejectedError(str(error.orig).partition("\n")[0]) from None

    def _add_sums(self, connection: Connection, table: Table, sums: list[dict[str, Any]]) -> None:
        if not sums:
            return
        insert = self._insert(table)
        added = {name: table.c[name] + insert.excluded[name] for name in _SUMS}
        index = [column.name for column in table.primary_key]
        connection.execute(insert.on_conflict_do_update(index_elements=index, set_=added), sums)

    def _insert(self, table: Table) -> Any:
        return sqlite.insert(table) if self._address.is_sqlite else postgresql.insert(table)

    def report(self, question: Question, now: datetime) -> UsageReport:
        """What is asked for. Raises StoreError."""
        since, until = bounds(question, now)
        table = usage_days if grain_of(question, since, until) == "days" else usage_hours
        columns = {"key": table.c.key_id, "team": table.c.team, "model": table.c.model}
        told = [columns.get(name, table.c.start) for name in question.by]
        sums = [func.sum(table.c[name]).label(name) for name in _SUMS]
        query = select(*told, *sums).where(table.c.start >= since).group_by(*told)
        if until is not None:
            query = query.where(table.c.start < until)
        for name, column in columns.items():
            if (wanted := getattr(question, name)) is not None:
                query = query.where(column == wanted)
        with self._reaching(), self._opened().connect() as connection:
            found = connection.execution_options(**_READS).execute(query).mappings().all()
        rows = [_usage_row(row) for row in found]
        rows = [row for row in rows if row.requests]
        rows.sort(key=lambda row: row.prompt_tokens + row.completion_tokens, reverse=True)
        rows.sort(key=lambda row: row.start or since)
        return UsageReport(since=since, until=until, by=list(question.by), rows=rows, total=total(rows))

    def forget(self, requests_before: datetime, hours_before: datetime) -> bool:
        """Delete some of the entries and sums that are older. Returns whether there may be more. Raises StoreError."""
        old = select(usage.c.uid).where(usage.c.at < requests_before).limit(_FORGET_AT_ONCE)
        with self._writing() as connection:
            gone = connection.execute(delete(usage).where(usage.c.uid.in_(old)))
            connection.execute(delete(usage_hours).where(usage_hours.c.start < hours_before))
            return gone.rowcount >= _FORGET_AT_ONCE

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._reaching(), self._opened().begin() as connection:
            yield connection

    def _opened(self) -> Engine:
        if self._engine is None:
            raise StoreError(f"The ledger's store, {self.name}, has not been opened yet.")
        return self._engine

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (DataError, IntegrityError):
            raise
        except _UNREACHABLE as error:
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            if self._address.password:
                said = said.replace(self._address.password, "***")
            raise StoreError(
                f"The ledger's store, {self.name}, cannot be used: {said or type(error).__name__}.",
                remedy="Look whether it runs, and whether its address, user and password are right.",
            ) from None


def _engine(address: Address) -> Engine:
    if not address.is_sqlite:
        arguments = {"prepare_threshold": None, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
        return create_engine(
            address.url, pool_size=_CONNECTIONS, max_overflow=0, pool_pre_ping=True, connect_args=arguments
        )
    engine = create_engine(address.url, pool_size=_CONNECTIONS, max_overflow=0, connect_args={"timeout": _BUSY})

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # Who writes has the lock from the start, so that no two wait for each other. Who reads waits for nobody.
        connection.exec_driver_sql(
            "BEGIN" if connection.get_execution_options().get("penstock_reads") else "BEGIN IMMEDIATE"
        )

    return engine


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "uid": bytes.fromhex(entry.uid),
        "at": datetime.fromtimestamp(entry.at, UTC),
        "key_id": text(entry.key),
        "team": text(entry.team),
        "model": text(entry.model),
        "endpoint": text(entry.endpoint),
        "status": entry.status,
        "prompt": entry.prompt,
        "completion": entry.completion,
        "cached": entry.cached,
        "exact": entry.exact,
        "first_byte_ms": entry.first_byte_ms,
        "duration_ms": entry.duration_ms,
        "request_id": text(entry.request_id),
        "cache": entry.cache,
        "provider": text(entry.provider)[:32],
        "fallback": text(entry.fallback)[:16],
        "cost": entry.cost,
    }


def _sums(rows: Sequence[dict[str, Any]], start_of: Any) -> list[dict[str, Any]]:
    """The sums that rows add to, in one order."""
    sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    for row in rows:
        sum_ = sums[start_of(row["at"]), row["key_id"], row["team"], row["model"]]
        sum_["requests"] += 1
        sum_["failed"] += row["status"] >= 400
        sum_["guessed"] += not row["exact"]
        sum_["cache_hits"] += row["cache"] in _FROM_CACHE
        sum_["provided"] += bool(row["provider"])
        for name in ("prompt", "completion", "cached", "cost"):
            sum_[name] += row[name]
    names = ("start", "key_id", "team", "model")
    return [{**dict(zip(names, place, strict=True)), **sums[place]} for place in sorted(sums)]


def _day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def _usage_row(row: Any) -> UsageRow:
    return UsageRow(
        key=row.get("key_id"),
        team=row.get("team"),
        model=row.get("model"),
        start=row.get("start"),
        requests=row["requests"] or 0,
        failed=row["failed"] or 0,
        guessed=row["guessed"] or 0,
        prompt_tokens=row["prompt"] or 0,
        completion_tokens=row["completion"] or 0,
        cached_tokens=row["cached"] or 0,
        cache_hits=row["cache_hits"] or 0,
        provider_requests=row["provided"] or 0,
        cost=int(row["cost"] or 0) / BILLIONTHS,
    )
