"""What the doctor says of keys and of the places that they are checked with, and that it changes none of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from penstock.accounts import secret
from penstock.accounts.address import Address, sqlite
from penstock.accounts.errors import StoreError
from penstock.accounts.inspecting import StoreState, look_at
from penstock.accounts.records import NewKey
from penstock.accounts.service import KeyService
from penstock.accounts.store import Store
from penstock.config import Document
from penstock.config.accounts import Accounts
from penstock.doctor.facts import Facts, KeySource
from penstock.doctor.findings import Finding, Level
from penstock.doctor.probes.accounts import sources
from support.issuers import running_issuer
from support.machines import bad, examine, machine, one
from support.redis import running_redis, url_of

HASH = "sha256:" + "0" * 64


def facts(accounts: dict[str, Any], *seen: KeySource, host: str = "127.0.0.1") -> Facts:
    values = {"models": {"a": {"engine": "simulator"}}, "accounts": accounts, "gateway": {"host": host}}
    return machine(document=Document.model_validate(values), key_sources=seen)


def about(given: Facts, subject: str) -> Finding:
    (found,) = [finding for finding in examine(given) if finding.subject == subject]
    return found


def test_an_address_of_this_machine_may_be_open() -> None:
    assert bad(facts({})) == []
    assert "this machine alone" in about(facts({}), "keys").found


def test_an_open_address_that_others_reach_is_a_problem_until_somebody_wants_it() -> None:
    assert one(facts({}, host="0.0.0.0"), Level.PROBLEM).subject == "keys"
    wanted = one(facts({"anonymous": True}, host="0.0.0.0"), Level.WARNING)
    assert "every model" in wanted.found
    store = KeySource("store", "SQLite", keys=1, tables="current")
    assert bad(facts({"anonymous": False}, store, host="0.0.0.0")) == []


def test_a_closed_address_that_nobody_has_a_key_for_is_told() -> None:
    for tables in ("none", "current"):
        empty = KeySource("store", "SQLite", keys=0 if tables == "current" else None, tables=tables)  # type: ignore[arg-type]
        found = one(facts({"anonymous": False}, empty), Level.WARNING)
        assert found.remedy == "penstock keys create NAME"
    assert bad(facts({"anonymous": False}, KeySource("store", "SQLite", keys=2, tables="current"))) == []
    assert bad(facts({"anonymous": False})) == [], "what was not looked at may hold keys"
    assert bad(facts({"keys": {"ci": {"hashes": [HASH]}}})) == []


@pytest.mark.parametrize("kind", ["file", "store", "issuer", "counters"])
def test_a_place_that_does_not_answer_is_a_problem_with_a_remedy(kind: Any) -> None:
    accounts = {
        "keysFile": "/keys.yaml",
        "database": {"env": "PG"},
        "oidc": {"issuer": "https://login.example.com", "audience": ["a"]},
        "limits": {"redis": {"env": "REDIS"}},
    }
    named = {"file": "keysFile", "store": "database", "issuer": "oidc", "counters": "limits"}[kind]
    found = one(facts({named: accounts[named]}, KeySource(kind, "it", error="It is away.")), Level.PROBLEM)
    assert found.found == "It is away."
    assert found.remedy
    told = one(facts({named: accounts[named]}, KeySource(kind, "it", error="Away.", remedy="Wait.")), Level.PROBLEM)
    assert told.remedy == "Wait."
    assert bad(facts({named: accounts[named]}, KeySource(kind, "it", keys=1, tables="current"))) == []
    unseen = [f for f in examine(facts({named: accounts[named]})) if f.level is Level.SKIPPED and "looked" in f.found]
    assert len(unseen) == 1


def test_tables_of_a_newer_version_are_a_problem_and_older_ones_are_not() -> None:
    store = KeySource("store", "PostgreSQL at h:5432/d", keys=1, tables="newer")
    assert "newer Penstock" in one(facts({"database": {"env": "PG"}}, store), Level.PROBLEM).found
    older = facts({"database": {"env": "PG"}}, replace(store, tables="older"))
    assert bad(older) == []
    assert "brings its tables up to date" in about(older, "store of keys").found


def test_a_listed_key_that_has_expired_is_told() -> None:
    keys = {"old": {"hashes": [HASH], "expires": "2030-01-31T00:00:00Z"}, "new": {"hashes": [HASH]}}
    found = one(facts({"keys": keys}), Level.WARNING)
    assert found.found == "The listed key 'old' expired on 2030-01-31."


@pytest.mark.parametrize(
    "accounts",
    [
        {"limits": {"everyKey": {"requestsPerMinute": 1}}},
        {"limits": {"models": {"a": {"tokensPerDay": 1}}}},
        {"keys": {"ci": {"hashes": [HASH], "limits": {"requestsAtOnce": 2}}}},
    ],
)
def test_gateways_that_count_each_for_itself_are_told(accounts: dict[str, Any]) -> None:
    one_gateway = facts(accounts)
    assert bad(one_gateway) == []
    assert one_gateway.document is not None
    two = one_gateway.document.gateway.model_copy(update={"replicas": 2})
    several = replace(one_gateway, document=one_gateway.document.model_copy(update={"gateway": two}))
    assert "up to 2 times as much" in one(several, Level.WARNING).found
    with_redis = facts(accounts | {"limits": {**accounts.get("limits", {}), "redis": {"env": "R"}}})
    assert bad(with_redis) == []


async def _filled(address: Address, keys: int) -> None:
    store = Store(address)
    await store.open()
    for number in range(keys):
        await KeyService(store).create(NewKey(name=f"key {number}"), actor="cli:test")
    await store.close()


async def test_a_store_is_looked_at_and_not_made(tmp_path: Path) -> None:
    address = sqlite(tmp_path / "accounts.db")
    assert look_at(address) == StoreState("none")
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    await _filled(address, 2)
    assert look_at(address) == StoreState("current", 2)


async def test_tables_are_compared_with_this_version(tmp_path: Path) -> None:
    address = sqlite(tmp_path / "accounts.db")
    await _filled(address, 1)
    for revision, told in (("0001", "older"), ("9999", "newer")):
        with create_engine(address.url).begin() as connection:
            connection.execute(text("UPDATE penstock_schema SET version_num = :number"), {"number": revision})
        assert look_at(address) == StoreState(told, 1)  # type: ignore[arg-type]


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "accounts.db").write_bytes(b"no database at all, but long enough to be read as one" * 40)
    with pytest.raises(StoreError, match="cannot be used"):
        look_at(sqlite(tmp_path / "accounts.db"))


def _looked(settings: dict[str, Any], *, offline: bool = False) -> dict[str, KeySource]:
    found = sources(Accounts.model_validate(settings), offline=offline, limit=60)
    return {source.kind: source for source in found}


async def test_a_file_of_keys_is_counted_and_a_broken_one_told(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(f"a: {{hashes: ['{HASH}']}}\nb: {{hashes: ['{HASH[:-1]}1']}}\n")
    assert _looked({"keysFile": str(path)})["file"] == KeySource("file", str(path), keys=2)
    key = secret.new_key()
    path.write_text(f"a: {{hashes: ['{key}']}}\n")
    found = _looked({"keysFile": str(path)})["file"]
    assert found.error
    assert key not in found.error
    path.unlink()
    assert str(path) in _looked({"keysFile": str(path)})["file"].error


def test_an_address_that_is_nowhere_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG", "postgresql://user:word-of-pass@127.0.0.1:1/d")
    found = _looked({"database": {"env": "PG"}})["store"]
    assert found.name == "PostgreSQL at 127.0.0.1:1/d"
    assert found.error
    assert "word-of-pass" not in f"{found}"
    assert _looked({"database": {"env": "PG"}}, offline=True) == {}
    monkeypatch.delenv("PG")
    assert "PG is empty or not set" in _looked({"database": {"env": "PG"}})["store"].error


@pytest.mark.integration
async def test_an_issuer_is_asked_for_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    async with running_issuer("rsa-1", "p256-1") as issuer:
        settings = {"oidc": {"issuer": issuer.url, "audience": ["penstock"]}}
        found = await asyncio.to_thread(_looked, settings)
        assert found["issuer"] == KeySource("issuer", issuer.url, keys=2)
        issuer.status = 500
        away = await asyncio.to_thread(_looked, settings)
        assert "answers 500" in away["issuer"].error
        assert await asyncio.to_thread(_looked, settings, offline=True) == {}


@pytest.mark.integration
def test_a_real_redis_is_asked_and_one_that_is_away_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"limits": {"redis": {"env": "REDIS"}}}
    with running_redis() as server:
        monkeypatch.setenv("REDIS", url_of(server))
        assert _looked(settings)["counters"].error == ""
    assert "cannot be reached" in _looked(settings)["counters"].error
    assert _looked(settings, offline=True) == {}
    monkeypatch.setenv("REDIS", "http://:word-of-pass@127.0.0.1")
    found = _looked(settings)["counters"]
    assert "cannot be read" in found.error
    assert "word-of-pass" not in f"{found}"
