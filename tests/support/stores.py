"""Empty stores of each kind as fixtures: SQLite in a folder, and a database of a real PostgreSQL. A folder of tests
gets them by importing them in its `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.accounts.address import Address, address_of, sqlite
from penstock.config.accounts import Database
from support.postgres import new_database, running_postgres
from support.servers import Server

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


@pytest.fixture(scope="session", autouse=True)
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """One for all tests that want one. Autouse, so that it is there before a test looks for processes that it left."""
    if not any("postgresql" in item.nodeid for item in request.session.items):
        yield None
        return
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_address(postgres_server: Server | None, monkeypatch: pytest.MonkeyPatch) -> Address:
    """An empty database."""
    assert postgres_server is not None, "name the test or its parameter after postgresql"
    monkeypatch.setenv("TEST_DATABASE", new_database(postgres_server))
    return address_of(Database(env="TEST_DATABASE"))


@pytest.fixture(params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """An empty store of each kind in turn."""
    if request.param == "sqlite":
        return sqlite(tmp_path / "store" / "accounts.db")
    found = request.getfixturevalue("postgres_address")
    assert isinstance(found, Address)
    return found
