"""Migrations: by many processes at once, over what is there, and never by an older Penstock over a newer one."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from penstock.accounts import migrations
from penstock.accounts.address import Address, address_of
from penstock.accounts.errors import StoreError
from penstock.accounts.migrating import migrate
from penstock.accounts.records import NewKey
from penstock.accounts.service import KeyService
from penstock.accounts.store import Store
from penstock.accounts.tables import metadata
from penstock.config.accounts import Database
from support.started import until

PROCESSES = 6
NEWEST = max(path.name[1:5] for path in Path(migrations.__file__).parent.glob("versions/v*.py"))
"""The version that a store of this Penstock has."""


def test_the_migrations_make_the_tables_that_the_code_knows(address: Address):
    migrate(address)
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "penstock_schema"})
        assert compare_metadata(context, metadata) == []


async def test_opening_a_store_again_changes_nothing(address: Address):
    first = Store(address)
    await first.open()
    await KeyService(first).create(NewKey(name="alice"), actor="cli:test")
    await first.close()
    again = Store(address)
    await again.open()
    try:
        assert [record.name for record in await KeyService(again).all_keys()] == ["alice"]
    finally:
        await again.close()


@pytest.mark.integration
def test_many_processes_that_start_together_make_them_once(address: Address, tmp_path: Path):
    code = (
        "import sys, pathlib, time\n"
        "from penstock.accounts.address import Address\n"
        "from penstock.accounts.migrating import migrate\n"
        "from sqlalchemy import make_url\n"
        "address = Address(make_url(sys.stdin.readline().strip()))\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "while not pathlib.Path(sys.argv[2]).exists(): time.sleep(0.001)\n"
        "migrate(address)\n"
    )
    go = tmp_path / "go"
    ready = [tmp_path / f"ready-{number}" for number in range(PROCESSES)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, each, go], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for each in ready
    ]
    try:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(address.url.render_as_string(hide_password=False) + "\n")
            process.stdin.flush()
        until(lambda: all(each.exists() for each in ready), limit=120)
        go.touch()
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * PROCESSES, said
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM penstock_schema")).scalars().all() == [NEWEST]


async def test_gateways_of_one_process_that_start_together_make_them_once(address: Address):
    stores = [Store(address) for _ in range(5)]
    try:
        await asyncio.gather(*(each.open() for each in stores))
        await KeyService(stores[0]).create(NewKey(name="alice"), actor="cli:test")
        assert [record.name for record in await KeyService(stores[4]).all_keys()] == ["alice"]
    finally:
        for each in stores:
            await each.close()


def test_a_migration_that_is_stopped_leaves_nothing_behind(address: Address, monkeypatch: pytest.MonkeyPatch):
    real = op.create_index

    def stops(name: str, table: str, columns: list[str]) -> None:
        if table == "penstock_audit":
            raise KeyboardInterrupt
        real(name, table, columns)

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_index", stops)
        with pytest.raises(KeyboardInterrupt):
            migrate(address)
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(Exception, match="penstock_keys"):
        connection.execute(text("SELECT * FROM penstock_keys"))
    migrate(address)


async def test_an_older_penstock_does_not_touch_a_newer_store(address: Address):
    migrate(address)
    engine = create_engine(address.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE penstock_schema SET version_num = '9999'"))
    with pytest.raises(StoreError, match="none that this version of Penstock knows"):
        await Store(address).open()


async def test_a_sqlite_file_is_its_owners_alone(tmp_path: Path):
    database = Database(sqlite=str(tmp_path / "deep" / "accounts.db"))
    store = Store(address_of(database))
    await store.open()
    await store.close()
    assert stat.S_IMODE((tmp_path / "deep" / "accounts.db").stat().st_mode) == 0o600


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="File exists"):
        await Store(address_of(Database(sqlite=str(tmp_path / "file" / "accounts.db")))).open()


async def test_a_file_that_is_no_store_is_told(tmp_path: Path):
    path = tmp_path / "accounts.db"
    path.write_bytes(b"this is no database at all, but it is long enough to be one" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Store(address_of(Database(sqlite=str(path)))).open()


async def test_readers_go_on_while_somebody_writes(address: Address, store: Store):
    made = await KeyService(store).create(NewKey(name="alice"), actor="cli:test")
    other = Store(address)
    await other.open()
    try:
        async with store._writing() as connection:
            await connection.execute(text("UPDATE penstock_keys SET owner = 'x'"))
            assert (await KeyService(other).get("alice")).owner == made.owner
        assert (await KeyService(other).get("alice")).owner == "x"
    finally:
        await other.close()


async def test_a_store_that_is_not_open_says_so(address: Address):
    with pytest.raises(StoreError, match="not been opened"):
        await Store(address).find(b"x" * 32)
