"""Stores for the tests of accounts: SQLite in a folder, and a database of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.accounts.address import Address
from penstock.accounts.store import Store
from support.stores import address, postgres_address, postgres_server

__all__ = ["address", "postgres_address", "postgres_server"]


@pytest.fixture
async def store(address: Address) -> AsyncIterator[Store]:
    """The store, opened."""
    opened = Store(address)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def state_folder(_own_state_directory: Path) -> Path:
    """Where this test's Penstock keeps what it notes."""
    return _own_state_directory
