"""A gateway's accounts over a real PostgreSQL that is killed under load and started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from penstock.accounts import secret
from penstock.accounts.errors import RefusedKeyError, StoreError
from penstock.accounts.opening import OpenAccounts
from penstock.accounts.records import NewKey
from penstock.config.accounts import Database
from support.gateways import ask, chat, eventually, get, post, running_gateway
from support.keys import opened
from support.postgres import new_database, running_postgres
from support.servers import Server

pytestmark = pytest.mark.integration

SETTINGS = {"database": Database(env="TEST_DATABASE"), "recheck": 0.2, "outage": 600}


@pytest.fixture
def own_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One for this test alone, to be killed."""
    with running_postgres() as server:
        monkeypatch.setenv("TEST_DATABASE", new_database(server))
        yield server


async def made(accounts: OpenAccounts, name: str) -> bytes:
    return (await accounts.service.create(NewKey(name=name), actor="cli:test")).key.get_secret_value().encode()


async def test_known_keys_go_on_under_load_while_postgresql_is_dead(own_postgres: Server):
    async with opened(SETTINGS) as accounts:
        known = [await made(accounts, f"known-{number}") for number in range(20)]
        unknown = await made(accounts, "unknown")
        for key in known:
            await accounts.directory.find(key)
        outcomes: Counter[str] = Counter()
        stop = asyncio.Event()

        async def load(number: int) -> None:
            while not stop.is_set():
                try:
                    account = await accounts.directory.find(known[number % len(known)])
                    outcomes["fine" if account.name == f"known-{number % len(known)}" else "wrong"] += 1
                except Exception as error:  # noqa: BLE001
                    outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.002)

        loads = [asyncio.create_task(load(number)) for number in range(40)]
        try:
            await asyncio.to_thread(own_postgres.kill)
            await eventually(lambda: accounts.directory._outage.is_on)
            with pytest.raises(StoreError):
                await accounts.directory.find(unknown)
            before = outcomes["fine"]
            await eventually(lambda: outcomes["fine"] > before + 2000)
            await asyncio.to_thread(own_postgres.start)
            await eventually(lambda: not accounts.directory._outage.is_on)
            assert (await accounts.directory.find(unknown)).name == "unknown"
            # A change reaches those that go on asking.
            await accounts.service.disable("known-0", actor="cli:test")
            await eventually(lambda: outcomes["RefusedKeyError"] > 0)
        finally:
            stop.set()
            await asyncio.gather(*loads)
    assert set(outcomes) == {"fine", "RefusedKeyError"}, outcomes


async def test_known_keys_go_on_while_postgresql_hangs(own_postgres: Server):
    async with opened(SETTINGS) as accounts:
        known, unknown = await made(accounts, "known"), await made(accounts, "unknown")
        await accounts.directory.find(known)
        own_postgres.pause()
        try:
            with pytest.raises(StoreError, match="did not answer within"):
                await accounts.directory.find(unknown)
            for _ in range(100):
                assert (await accounts.directory.find(known)).name == "known"
                with pytest.raises(StoreError):
                    await accounts.directory.find(secret.new_key().encode())
                await asyncio.sleep(0.01)
        finally:
            own_postgres.resume()

        async def found() -> bool:
            with contextlib.suppress(StoreError):
                return (await accounts.directory.find(unknown)).name == "unknown"
            return False

        async with asyncio.timeout(60):
            while not await found():  # noqa: ASYNC110  # nobody tells when it answers again
                await asyncio.sleep(0.05)


async def test_known_keys_end_when_the_outage_is_longer_than_the_document_allows(own_postgres: Server):
    async with opened({**SETTINGS, "outage": 1}) as accounts:
        key = await made(accounts, "alice")
        await accounts.directory.find(key)
        await asyncio.to_thread(own_postgres.kill)

        async def refused() -> None:
            while True:
                await accounts.directory.find(key)
                await asyncio.sleep(0.02)

        with pytest.raises(StoreError):
            await asyncio.wait_for(refused(), 60)


async def test_a_gateway_that_starts_before_its_store_says_so_and_becomes_ready(
    own_postgres: Server, caplog: pytest.LogCaptureFixture
):
    await asyncio.to_thread(own_postgres.kill)
    with caplog.at_level(logging.ERROR):
        async with opened(SETTINGS) as accounts, running_gateway(accounts=accounts) as gateway:
            answer = await ask(gateway, get("/readyz"))
            assert (answer.status, answer.error["code"]) == (503, "store_unavailable")
            assert "The store of keys (PostgreSQL) cannot be reached" in answer.error["message"]
            answer = await ask(gateway, get("/v1/models", headers=[("authorization", f"Bearer {secret.new_key()}")]))
            assert (answer.status, answer.error["code"]) == (503, "store_unavailable")
            assert answer.headers["x-penstock-layer"] == "accounts"
            assert (await ask(gateway, get("/healthz"))).status == 200
            await asyncio.to_thread(own_postgres.start)
            await eventually(lambda: not accounts.missing)
            assert (await ask(gateway, get("/readyz"))).status == 200
            alice = (await made(accounts, "alice")).decode()
            answer = await ask(gateway, post(chat(), headers=[("x-api-key", alice)]))
            assert answer.status == 200
    assert "127.0.0.1" in str([getattr(record, "fields", None) for record in caplog.records])


async def test_a_change_by_one_gateway_reaches_another(own_postgres: Server):
    async with opened(SETTINGS) as one, opened(SETTINGS) as other:
        key = await made(one, "alice")
        assert (await other.directory.find(key)).name == "alice"
        await one.service.disable("alice", actor="cli:test")

        async def until_refused() -> None:
            while True:
                await other.directory.find(key)
                await asyncio.sleep(0.01)

        with pytest.raises(RefusedKeyError, match="disabled"):
            await asyncio.wait_for(until_refused(), 60)


async def test_a_connection_that_died_unnoticed_costs_no_error(own_postgres: Server):
    async with opened(SETTINGS) as accounts:
        key = await made(accounts, "alice")
        await accounts.directory.find(key)
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.to_thread(own_postgres.start)
        assert (await accounts._store.find(secret.digest(key))).name == "alice"
