"""Brings the store's tables up to this version, once, however many processes start together. Used by `store`.

Everything happens in one transaction under a lock: in PostgreSQL an advisory one, which ends with the transaction,
beside a SQLite file the lock of a file, which ends with the process. Whoever comes second finds nothing left to do.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from penstock.accounts.address import Address
from penstock.accounts.errors import StoreError

_LOCK: Final = 0x70656E73746F636B
"""The number of the advisory lock: `penstock`."""

_LOCK_TIMEOUT: Final = 60
"""Seconds."""

SCRIPTS: Final = Path(__file__).with_name("migrations")
"""The folder of the migrations."""
VERSION_TABLE: Final = "penstock_schema"
"""Where a store remembers which of them it has had."""
_one_at_a_time = threading.Lock()
"""alembic keeps its context in the module."""


def migrate(address: Address) -> None:
    """Bring the tables up to date. Waits for whoever is at it.

    Raises:
        StoreError: the store was made by a newer Penstock.
        DBAPIError: it cannot be reached, or refuses.
    """
    if address.is_sqlite:
        with _file_locked(Path(address.url.database or "")):
            _migrate_sqlite(address)
        return
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.begin() as connection:
        # Whoever holds the lock and hangs must not hold up all who come after without a word.
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        _upgrade(connection, address)


def _migrate_sqlite(address: Address) -> None:
    engine = create_engine(address.url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        # Changing tables is part of the transaction only if we begin it ourselves.
        connection.isolation_level = None
        # Readers do not wait for a writer then. The file remembers it.
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _upgrade(connection, address)


def _upgrade(connection: Connection, address: Address) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            if isinstance(error.__cause__, DBAPIError):
                raise
            raise StoreError(
                f"The tables in {address.name} are none that this version of Penstock knows ({error}).",
                remedy="Use the version of Penstock that last used this store, or a newer one.",
            ) from error


@contextmanager
def _file_locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hashes are no secrets, but whose keys there are is nobody else's business.
    path.touch(mode=0o600, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
