"""The ledger over a real PostgreSQL that is killed or hangs under load, and comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.accounts import secret
from penstock.accounts.ledger import writer
from penstock.accounts.ledger.report import Question
from penstock.accounts.opening import OpenAccounts
from penstock.config.accounts import Database
from support.gateways import Gateway, eventually, running_gateway
from support.keys import listed, opened
from support.postgres import new_database, running_postgres
from support.servers import Server

pytestmark = pytest.mark.integration

KEY = secret.new_key()
KEYS = {"team": listed(KEY, owner="research")}


@pytest.fixture
def own_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One for this test alone, to be killed."""
    with running_postgres() as server:
        monkeypatch.setenv("TEST_DATABASE", new_database(server))
        yield server


def settings(folder: Path) -> dict[str, Any]:
    return {"database": Database(env="TEST_DATABASE"), "usage": {"flush": 0.1, "directory": str(folder)}}


class Load:
    """Clients that ask again and again; how they were answered."""

    def __init__(self, gateway: Gateway) -> None:
        self._url = gateway.url
        self.answers: Counter[int] = Counter()
        self._stop = asyncio.Event()
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(8)]

    async def _ask(self) -> None:
        body = {"model": "demo", "messages": []}
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, verify=False, timeout=60) as client:
            while not self._stop.is_set():
                answer = await client.post(f"{self._url}/v1/chat/completions", json=body)
                self.answers[answer.status_code] += 1

    async def go_on(self, requests: int) -> None:
        """Until so many more were answered."""
        before = self.answers[200]
        await eventually(lambda: self.answers[200] >= before + requests)

    async def end(self) -> int:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        return self.answers[200]


def ledger_of(accounts: OpenAccounts) -> writer.Ledger:
    assert accounts.usage is not None
    return accounts.usage.ledger


async def counted(accounts: OpenAccounts) -> tuple[int, int]:
    assert accounts.usage is not None
    total = (await accounts.usage.report(Question())).total
    return total.requests, total.completion_tokens


async def test_nothing_is_lost_under_load_while_postgresql_is_dead(own_postgres: Server, tmp_path: Path):
    async with opened(settings(tmp_path), KEYS) as accounts, running_gateway(accounts=accounts) as gateway:
        ledger, load = ledger_of(accounts), Load(gateway)
        await load.go_on(100)
        await asyncio.to_thread(own_postgres.kill)
        await eventually(lambda: ledger.store_fails)
        await load.go_on(300)
        assert ledger.buffered > 0
        assert b"penstock_usage_store_gone 1.0" in gateway.app.metrics.text()
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: not ledger.store_fails)
        await load.go_on(100)
        asked = await load.end()
        assert set(load.answers) == {200}
        await eventually(lambda: ledger.stored >= asked)
        assert await counted(accounts) == (asked, 5 * asked)
        assert ledger.lost == 0
        await eventually(lambda: ledger.buffered == 0)


async def test_a_gateway_that_stops_while_postgresql_is_dead_leaves_its_journal_to_the_next(
    own_postgres: Server, tmp_path: Path
):
    async with opened(settings(tmp_path), KEYS) as accounts, running_gateway(accounts=accounts) as gateway:
        load = Load(gateway)
        await load.go_on(50)
        await asyncio.to_thread(own_postgres.kill)
        await load.go_on(50)
        asked = await load.end()
    await asyncio.to_thread(own_postgres.start)
    async with opened(settings(tmp_path), KEYS) as again:
        ledger = ledger_of(again)
        await eventually(lambda: ledger.buffered == 0)
        assert await counted(again) == (asked, 5 * asked)


async def test_a_store_that_hangs_holds_up_neither_requests_nor_the_end(
    own_postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "LAST_TRY", 1.0)
    async with opened(settings(tmp_path), KEYS) as accounts:
        async with running_gateway(accounts=accounts) as gateway:
            ledger, load = ledger_of(accounts), Load(gateway)
            await load.go_on(50)
            await eventually(lambda: ledger.stored > 0)
            await asyncio.to_thread(own_postgres.pause)
            await load.go_on(300)
            await load.end()
            assert set(load.answers) == {200}
        async with asyncio.timeout(30):
            await asyncio.to_thread(ledger.close)
        assert ledger.buffered > 0, "what the store has not is on disk"
        await asyncio.to_thread(own_postgres.resume)
        # The thread that hung goes on, and brings what is left.
        await eventually(lambda: ledger.buffered == 0)
