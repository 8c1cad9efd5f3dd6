"""The tables of the store. `migrations` makes them; a test holds the two equal. Used by `store`."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)


class Moment(TypeDecorator[datetime]):
    """A time in UTC. SQLite keeps no offset, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

keys = Table(
    "penstock_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("owner", String(63), nullable=False),
    Column("models", JSON, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("disabled", Boolean, nullable=False),
    # As documents have them; null where the key has those of every key.
    Column("limits", JSON(none_as_null=True)),
)

hashes = Table(
    "penstock_key_hashes",
    metadata,
    # SHA-256 of the key. A rotated key has several, the old ones with an end.
    Column("digest", LargeBinary(32), primary_key=True),
    Column("key_id", String(32), ForeignKey("penstock_keys.id", ondelete="CASCADE"), nullable=False),
    Column("created", Moment, nullable=False),
    Column("retires", Moment),
    Index("ix_penstock_key_hashes_key_id", "key_id"),
)

audit = Table(
    "penstock_audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(32), nullable=False),
    # No foreign key: what is written stays when the key goes.
    Column("key_id", String(32), nullable=False),
    Column("details", JSON, nullable=False),
    Index("ix_penstock_audit_key_id", "key_id"),
)

usage = Table(
    "penstock_usage",
    metadata,
    Column("uid", LargeBinary(12), primary_key=True),
    Column("at", Moment, nullable=False),
    # No foreign key: what was used stays when the key goes, and listed keys are nowhere else.
    Column("key_id", String(255), nullable=False),
    Column("team", String(255), nullable=False),
    Column("model", String(255), nullable=False),
    Column("endpoint", String(255), nullable=False),
    Column("status", Integer, nullable=False),
    Column("prompt", Integer, nullable=False),
    Column("completion", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("exact", Boolean, nullable=False),
    Column("first_byte_ms", Integer),
    Column("duration_ms", Integer, nullable=False),
    Column("request_id", String(255), nullable=False),
    # hit, joined or miss; empty where it was not asked. A gateway of the version before writes without it.
    Column("cache", String(8), nullable=False, server_default=""),
    # The provider that it went to, and why, where it was a fallback.
    Column("provider", String(32), nullable=False, server_default=""),
    Column("fallback", String(16), nullable=False, server_default=""),
    # Billionths of a unit of money.
    Column("cost", BigInteger, nullable=False, server_default="0"),
    Index("ix_penstock_usage_at", "at"),
)


def _sums(name: str) -> Table:
    numbers = ("requests", "failed", "guessed", "prompt", "completion", "cached")
    return Table(
        name,
        metadata,
        # The beginning of the hour or the day. It comes first, because questions are about a stretch of time.
        Column("start", Moment, primary_key=True),
        Column("key_id", String(255), primary_key=True),
        Column("team", String(255), primary_key=True),
        Column("model", String(255), primary_key=True),
        *(Column(number, BigInteger, nullable=False) for number in numbers),
        Column("cache_hits", BigInteger, nullable=False, server_default="0"),
        Column("provided", BigInteger, nullable=False, server_default="0"),
        Column("cost", BigInteger, nullable=False, server_default="0"),
    )


usage_hours = _sums("penstock_usage_hours")
usage_days = _sums("penstock_usage_days")
