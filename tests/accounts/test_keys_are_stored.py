"""The store of keys, the same over SQLite and over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from penstock.accounts import secret
from penstock.accounts.address import Address
from penstock.accounts.errors import NameTakenError, NoSuchKeyError
from penstock.accounts.records import MadeKey, NewKey, Rotation
from penstock.accounts.service import KeyService
from penstock.accounts.store import Store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ME = "cli:test"


class Wall:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def service(store: Store, wall: Wall) -> KeyService:
    return KeyService(store, wall=wall)


def digest(made: MadeKey) -> bytes:
    return secret.digest(made.key.get_secret_value().encode())


async def test_a_key_is_found_by_its_hash_with_all_that_was_set(service: KeyService, store: Store):
    new = NewKey(
        name="alice", owner="research", models=["qwen*", "default"], roles=["user", "admin"],
        expires=NOW + timedelta(days=90),
    )  # fmt: skip
    made = await service.create(new, actor=ME)
    found = await store.find(digest(made))
    assert found is not None
    assert (found.id, found.name, found.owner, found.models) == (made.id, "alice", "research", ("qwen*", "default"))
    assert found.roles == {"user", "admin"}
    assert found.until == (NOW + timedelta(days=90)).timestamp()
    assert not found.disabled


async def test_the_store_holds_no_key(service: KeyService, store: Store):
    made = await service.create(NewKey(name="alice"), actor=ME)
    key = made.key.get_secret_value()
    async with store._reading() as connection:
        for table in ("penstock_keys", "penstock_key_hashes", "penstock_audit"):
            rows = (await connection.exec_driver_sql(f"SELECT * FROM {table}")).all()
            assert rows
            assert key not in str(rows)
            assert key[4:36] not in str(rows)


async def test_another_key_is_not_found(service: KeyService, store: Store):
    await service.create(NewKey(name="alice"), actor=ME)
    assert await store.find(secret.digest(secret.new_key().encode())) is None


async def test_a_name_is_given_once(service: KeyService):
    await service.create(NewKey(name="alice"), actor=ME)
    with pytest.raises(NameTakenError):
        await service.create(NewKey(name="alice"), actor=ME)
    assert len(await service.all_keys()) == 1
    assert len(await service.changes()) == 1


async def test_a_name_is_free_again_when_its_key_is_deleted(service: KeyService, store: Store):
    first = await service.create(NewKey(name="alice"), actor=ME)
    await service.delete("alice", actor=ME)
    second = await service.create(NewKey(name="alice"), actor=ME)
    assert first.id != second.id
    assert await store.find(digest(first)) is None
    assert await store.find(digest(second)) is not None


async def test_a_rotated_key_keeps_its_id_and_the_old_one_ends_after_the_overlap(
    service: KeyService, store: Store, wall: Wall
):
    first = await service.create(NewKey(name="alice"), actor=ME)
    second = await service.rotate("alice", Rotation(overlap=3600), actor=ME)
    assert second.id == first.id
    assert second.key != first.key
    assert second.retiring == [NOW + timedelta(hours=1)]
    old, new = await store.find(digest(first)), await store.find(digest(second))
    assert old is not None
    assert new is not None
    assert (old.until, new.until) == ((NOW + timedelta(hours=1)).timestamp(), None)
    assert old.id == new.id == first.id
    wall.now += timedelta(hours=2)
    assert (await service.get("alice")).retiring == []


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(service: KeyService, store: Store):
    first = await service.create(NewKey(name="alice"), actor=ME)
    await service.rotate("alice", Rotation(overlap=0), actor=ME)
    old = await store.find(digest(first))
    assert old is not None
    assert old.refusal_at(NOW.timestamp()) == "expired"


async def test_a_second_rotation_never_prolongs_an_older_key(service: KeyService, store: Store, wall: Wall):
    first = await service.create(NewKey(name="alice"), actor=ME)
    await service.rotate("alice", Rotation(overlap=60), actor=ME)
    wall.now += timedelta(seconds=30)
    await service.rotate("alice", Rotation(overlap=3600), actor=ME)
    old = await store.find(digest(first))
    assert old is not None
    assert old.until == (NOW + timedelta(seconds=60)).timestamp()
    wall.now += timedelta(seconds=60)
    await service.rotate("alice", Rotation(overlap=3600), actor=ME)
    assert await store.find(digest(first)) is None, "what ended long ago is forgotten"


async def test_an_old_key_ends_with_its_account_where_that_is_earlier(service: KeyService, store: Store):
    end = NOW + timedelta(minutes=1)
    first = await service.create(NewKey(name="alice", expires=end), actor=ME)
    await service.rotate("alice", Rotation(overlap=3600), actor=ME)
    old = await store.find(digest(first))
    assert old is not None
    assert old.until == end.timestamp()


async def test_a_key_is_disabled_and_enabled(service: KeyService, store: Store):
    made = await service.create(NewKey(name="alice"), actor=ME)
    assert (await service.disable(made.id, actor=ME)).state == "disabled"
    found = await store.find(digest(made))
    assert found is not None
    assert found.disabled
    assert (await service.enable("alice", actor=ME)).state == "active"
    assert not (await store.find(digest(made)) or found).disabled


async def test_a_state_is_of_now(service: KeyService, wall: Wall):
    await service.create(NewKey(name="alice", expires=NOW + timedelta(hours=1)), actor=ME)
    assert (await service.get("alice")).state == "active"
    wall.now += timedelta(hours=1)
    assert [record.state for record in await service.all_keys()] == ["expired"]


async def test_every_change_is_noted_with_who_and_when_and_stays(service: KeyService, wall: Wall):
    made = await service.create(NewKey(name="alice", owner="research", models=["m"]), actor="cli:eve")
    wall.now += timedelta(minutes=1)
    await service.rotate("alice", Rotation(overlap=60), actor="key:1")
    await service.disable("alice", actor="key:2")
    await service.enable("alice", actor="key:3")
    await service.delete("alice", actor="key:4")
    await service.create(NewKey(name="bob"), actor=ME)
    changes = await service.changes(made.id)
    assert [(change.action, change.actor) for change in changes] == [
        ("delete", "key:4"), ("enable", "key:3"), ("disable", "key:2"), ("rotate", "key:1"), ("create", "cli:eve"),
    ]  # fmt: skip
    assert changes[-1].at == NOW
    assert changes[0].at == NOW + timedelta(minutes=1)
    assert changes[-1].details == {"name": "alice", "owner": "research", "models": ["m"], "roles": ["user"]}
    assert len(await service.changes()) == 6
    assert [change.action for change in await service.changes(limit=1)] == ["create"]


async def test_what_is_not_there_cannot_be_changed(service: KeyService):
    for work in (service.get("x"), service.disable("x", actor=ME), service.enable("x", actor=ME),
                 service.delete("x", actor=ME), service.rotate("x", Rotation(), actor=ME)):  # fmt: skip
        with pytest.raises(NoSuchKeyError):
            await work
    assert await service.changes() == []


async def test_an_id_means_its_key_even_where_another_has_it_for_a_name(service: KeyService):
    first = await service.create(NewKey(name="alice"), actor=ME)
    await service.create(NewKey(name=first.id), actor=ME)
    assert (await service.get(first.id)).name == "alice"


EVIL = [
    "'; DROP TABLE penstock_keys; --",
    'a" OR "1"="1',
    "%",
    "_",
    "a\\",
    "[red]x[/red]",
    "💧 ключ",
    "${x}",
    "{{ x }}",
]


@pytest.mark.parametrize("name", EVIL)
async def test_a_name_is_nothing_but_a_name(service: KeyService, name: str):
    await service.create(NewKey(name="other"), actor=ME)
    made = await service.create(NewKey(name=name), actor=ME)
    assert (await service.get(name)).id == made.id
    await service.delete(name, actor=ME)
    assert [record.name for record in await service.all_keys()] == ["other"]


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\x1b[31m", "a\0b", "x" * 101, "\u202eevil"])
def test_a_name_that_would_spoil_a_log_is_refused(name: str):
    with pytest.raises(ValueError, match="no name of a key"):
        NewKey(name=name)


async def test_many_changes_at_once_are_all_there(service: KeyService, store: Store):
    made = await service.create(NewKey(name="alice"), actor=ME)
    rotated = await asyncio.gather(*(service.rotate("alice", Rotation(overlap=3600), actor=ME) for _ in range(12)))
    found = [await store.find(digest(each)) for each in [made, *rotated]]
    assert all(each is not None for each in found)
    assert sum(each is not None and each.until is None for each in found) == 1, "one of them is the newest"
    assert len(await service.changes(made.id)) == 13


async def test_of_two_who_want_one_name_one_gets_it(address: Address, store: Store):
    other = Store(address)
    await other.open()
    try:
        services = [KeyService(each) for each in (store, other)]
        done = await asyncio.gather(
            *(services[n % 2].create(NewKey(name="alice"), actor=ME) for n in range(8)), return_exceptions=True
        )
    finally:
        await other.close()
    assert sum(isinstance(each, MadeKey) for each in done) == 1
    assert sum(isinstance(each, NameTakenError) for each in done) == 7


async def test_no_key_stands_in_a_repr_or_a_log(service: KeyService, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    made = await service.create(NewKey(name="alice"), actor=ME)
    key = made.key.get_secret_value()
    assert key not in repr(made) + str(made) + str(made.model_dump())
    assert key in made.model_dump_json()
    assert key not in caplog.text
    assert digest(made).hex() not in caplog.text
