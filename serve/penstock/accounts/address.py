"""Where the store is: the document's words → what SQLAlchemy wants. The password stays inside. Used by `store`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from penstock import environment
from penstock.accounts.errors import StoreError
from penstock.accounts.named import named_text
from penstock.config.accounts import Database

FILE_NAME = "accounts.db"

_FORM = "Write postgresql://user:password@host:5432/name, with the characters @ : / % of a password as %40 %3A %2F %25."
_CONNECT_TIMEOUT = 3


@dataclass(frozen=True)
class Address:
    """A place of a store."""

    url: URL = field(repr=False)
    """For asynchronous and for plain engines alike, as far as PostgreSQL goes."""

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def kind(self) -> str:
        """What anybody may know of it."""
        return "SQLite" if self.is_sqlite else "PostgreSQL"

    @property
    def name(self) -> str:
        """For those who run it: without user and password."""
        if self.is_sqlite:
            return f"{self.kind} at {self.url.database}"
        return f"{self.kind} at {self.url.host or 'the default host'}:{self.url.port or 5432}/{self.url.database or ''}"

    @property
    def password(self) -> str | None:
        """For taking it out of what a driver says."""
        return str(self.url.password) if self.url.password else None


def address_of(database: Database) -> Address:
    """The place that the document names. Raises StoreError where it cannot be read."""
    if database.env is not None or database.file is not None:
        remedy = f"export {database.env}=postgresql://user:password@host:5432/name"
        return _postgresql(*named_text(database, "accounts.database", remedy))
    return sqlite(Path(database.sqlite).expanduser() if database.sqlite is not None else default_file())


def sqlite(path: Path) -> Address:
    """The store in a file of this machine."""
    return Address(URL.create("sqlite", database=str(path)))


def default_file() -> Path:
    """Where the store of this machine is, unless somebody says otherwise."""
    return environment.state_directory() / FILE_NAME


def _postgresql(text: str, place: str) -> Address:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Without its cause, which shows the text.
        raise StoreError(f"The address of the store in {place} cannot be read.", remedy=_FORM) from None
    if url.drivername not in ("postgresql", "postgres"):
        raise StoreError(f"The address of the store in {place} is none of a PostgreSQL.", remedy=_FORM)
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": str(_CONNECT_TIMEOUT)}
    return Address(url.set(drivername="postgresql+psycopg").update_query_dict(timeout))
