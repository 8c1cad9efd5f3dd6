"""Looks at a store and changes nothing: does it answer, are its tables those of this version. Used by `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from penstock.accounts.address import Address
from penstock.accounts.errors import StoreError
from penstock.accounts.migrating import SCRIPTS, VERSION_TABLE
from penstock.accounts.tables import keys

Tables = Literal["current", "older", "newer", "none"]
"""Against those of this version."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """What was found. `keys` is None where there are no tables to count in."""

    tables: Tables
    keys: int | None = None


def look_at(address: Address) -> StoreState:
    """The state of a store. Raises StoreError where it does not answer."""
    if address.is_sqlite and not Path(address.url.database or "").exists():
        return StoreState("none")
    scripts = ScriptDirectory(str(SCRIPTS))
    try:
        with create_engine(address.url, poolclass=NullPool).connect() as connection:
            found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
            if found is None:
                return StoreState("none")
            count = connection.execute(select(func.count()).select_from(keys)).scalar_one()
    except (SQLAlchemyError, OSError) as error:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if address.password:
            said = said.replace(address.password, "***")
        raise StoreError(f"{address.name} cannot be used: {said or type(error).__name__}.") from None
    return StoreState(_compared(scripts, found), count)


def _compared(scripts: ScriptDirectory, found: str) -> Tables:
    if found == scripts.get_current_head():
        return "current"
    try:
        scripts.get_revision(found)
    except CommandError:
        return "newer"
    return "older"
