"""The address of the store: where it is read from, and that its password stays inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.accounts.address import address_of
from penstock.accounts.errors import StoreError
from penstock.accounts.store import Store
from penstock.config.accounts import Database

PASSWORD = "s3cret%21w0rd"


@pytest.fixture(params=["env", "file"])
def read_from(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def place(text: str) -> Database:
        if request.param == "env":
            monkeypatch.setenv("THE_DATABASE", text)
            return Database(env="THE_DATABASE")
        (tmp_path / "address").write_text(text)
        return Database(file=str(tmp_path / "address"))

    return place


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_an_address_names_host_port_and_database_and_no_user(read_from, scheme: str):
    address = address_of(read_from(f"{scheme}://alice:{PASSWORD}@db.example:5433/keys?sslmode=verify-full\n"))
    assert address.name == "PostgreSQL at db.example:5433/keys"
    assert (address.url.host, address.url.port, address.url.database) == ("db.example", 5433, "keys")
    assert address.url.query["sslmode"] == "verify-full"
    assert address.url.query["connect_timeout"] == "3"
    assert "s3cret" not in repr(address) + str(address)


def test_a_time_to_connect_that_is_given_stays(read_from):
    address = address_of(read_from("postgresql://db/keys?connect_timeout=9"))
    assert address.url.query["connect_timeout"] == "9"


@pytest.mark.parametrize(
    "text",
    ["mysql://u:hunter2@h/d", "hunter2", "postgresql+asyncpg://u:hunter2@h/d", "sqlite:////hunter2",
     "postgresql://u:hunter2@h:port/d", "://hunter2@"],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_shown(read_from, text: str):
    with pytest.raises(StoreError) as caught:
        address_of(read_from(text))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "postgresql://user:password@host:5432/name" in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("THE_DATABASE", raising=False)
    with pytest.raises(StoreError, match="THE_DATABASE is empty or not set"):
        address_of(Database(env="THE_DATABASE"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "address"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read"):
        address_of(Database(file=str(path)))


def test_the_default_is_a_file_in_the_state_folder(state_folder: Path):
    address = address_of(Database())
    assert address.is_sqlite
    assert address.url.database == str(state_folder / "accounts.db")


@pytest.mark.integration
async def test_no_password_stands_in_what_is_said_of_a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_DATABASE", "postgresql://alice:hunter2@127.0.0.1:1/keys")
    with pytest.raises(StoreError) as caught:
        await Store(address_of(Database(env="THE_DATABASE"))).open()
    assert "PostgreSQL at 127.0.0.1:1/keys" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.integration
async def test_a_wrong_password_is_told_without_it_by_postgresql(postgres_address, monkeypatch: pytest.MonkeyPatch):
    url = postgres_address.url.set(drivername="postgresql", password="hunter2")
    monkeypatch.setenv("THE_DATABASE", url.render_as_string(hide_password=False))
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        await Store(address_of(Database(env="THE_DATABASE"))).open()
    assert "hunter2" not in str(caught.value)
