"""The views for administrators in a real browser: tokens are made, copied once and revoked, usage is drawn, models are
loaded and say why they failed. Keys stay in the tab.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from penstock.accounts import secret
from penstock.accounts.ledger.report import Question
from penstock.accounts.opening import OpenAccounts
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.gateway.catalog import Catalog, ModelEntry, derive_state
from support.browsers import LIMIT
from support.engines import SimulatorServer
from support.gateways import Gateway, eventually
from support.keys import listed, opened
from support.pages import ASLEEP, page_gateway

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)

BOSS, ALICE = secret.new_key(), secret.new_key()
KEYS = {"boss": listed(BOSS, roles=["admin"]), "alice": listed(ALICE, owner="research")}


@dataclass
class World:
    gateway: Gateway
    accounts: OpenAccounts

    async def status(self, key: str) -> int:
        """Of a request for the models with this key."""
        async with httpx.AsyncClient(trust_env=False) as client:
            lines = {"authorization": f"Bearer {key}"}
            return (await client.get(f"{self.gateway.url}/v1/models", headers=lines)).status_code


@asynccontextmanager
async def closed(engine: SimulatorServer, folder: Path) -> AsyncIterator[World]:
    settings = {
        "database": {"sqlite": str(folder / "accounts.db")},
        "recheck": 0.05,
        "usage": {"flush": 0.05},
    }
    async with opened(settings, KEYS) as accounts, page_gateway(engine.url, accounts=accounts) as gateway:
        yield World(gateway, accounts)


async def sign_in(page: Page, label: str, key: str) -> None:
    await page.get_by_label(label, exact=True).fill(key)
    await page.get_by_role("button", name="Use it").click()


async def test_a_key_is_asked_for_and_kept_for_the_tab_alone(
    page: Page, simulator_server: SimulatorServer, tmp_path: Path
):
    async with closed(simulator_server, tmp_path) as world:
        await page.goto(world.gateway.url)
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_label("Key", exact=True)).to_be_focused()
        await sign_in(page, "Key", "psk_wrong")
        await expect(page.get_by_role("alert")).to_contain_text("The key is not valid")
        await sign_in(page, "Key", ALICE)
        await expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        assert await page.evaluate("Object.values(sessionStorage)") == [ALICE]
        assert await page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        other = await page.context.new_page()
        await other.goto(world.gateway.url)
        await expect(other.get_by_label("Key", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Forget my key").click()
        await expect(page.get_by_label("Key", exact=True)).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("page", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
async def test_a_token_is_made_copied_once_and_revoked(page: Page, simulator_server: SimulatorServer, tmp_path: Path):
    async with closed(simulator_server, tmp_path) as world:
        await page.goto(f"{world.gateway.url}/#tokens")
        await sign_in(page, "Administrator's key", BOSS)
        await expect(page.get_by_role("button", name="Forget my key")).to_be_visible()
        await page.get_by_label("Name", exact=True).fill("bob")
        await page.get_by_label("Team", exact=True).fill("sales")
        await page.get_by_label("Expires after").select_option("15 minutes")
        await page.get_by_role("button", name="Create").click()
        shown = page.get_by_label("The token bob")
        await expect(shown).to_be_focused()
        token = await shown.input_value()
        await page.get_by_role("button", name="Copy the token").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == token
        assert await world.status(token) == 200
        record = await world.accounts.service.get("bob")
        assert (record.owner, record.roles) == ("sales", ["user"])
        assert record.expires is not None
        assert record.created is not None
        assert 880 < (record.expires - record.created).total_seconds() < 920
        await page.get_by_role("button", name="I have it").click()
        await expect(page.get_by_role("row", name="bob")).to_contain_text("active")
        assert token not in await page.content()
        await page.get_by_role("button", name="Revoke bob").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Revoke the token bob?")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert await world.status(token) == 200
        await page.get_by_role("button", name="Revoke bob").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_role("row", name="bob")).to_have_count(0)
        async with asyncio.timeout(60):
            while await world.status(token) != 401:  # noqa: ASYNC110  # a gateway tells nobody when it forgets
                await asyncio.sleep(0.02)
        await expect(page.get_by_role("row", name="boss")).to_contain_text("listed in the document")


async def test_a_name_that_is_taken_is_told_and_nothing_is_lost(
    page: Page, simulator_server: SimulatorServer, tmp_path: Path
):
    async with closed(simulator_server, tmp_path) as world:
        await page.goto(f"{world.gateway.url}/#tokens")
        await sign_in(page, "Administrator's key", BOSS)
        for _ in range(2):
            await page.get_by_label("Name", exact=True).fill("bob")
            await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_role("alert")).to_contain_text("bob")
        await expect(page.get_by_label("Name", exact=True)).to_have_value("bob")


async def test_usage_is_drawn_and_written(page: Page, simulator_server: SimulatorServer, tmp_path: Path):
    async with closed(simulator_server, tmp_path) as world:
        body = {"model": "demo", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}
        async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {ALICE}"}) as client:
            for model in ("demo", "demo", "other"):
                answer = await client.post(f"{world.gateway.url}/v1/chat/completions", json={**body, "model": model})
                assert answer.status_code == 200
            nobody = await client.get(f"{world.gateway.url}/admin/usage")
        assert nobody.status_code == 403
        usage = world.accounts.usage
        assert usage is not None
        async with asyncio.timeout(60):
            while (await usage.report(Question())).total.requests < 3:  # noqa: ASYNC110  # the ledger tells nobody
                await asyncio.sleep(0.02)
        await page.goto(f"{world.gateway.url}/#usage")
        await sign_in(page, "Administrator's key", ALICE)
        await expect(page.get_by_role("alert")).to_contain_text("has not the role admin")
        await sign_in(page, "Administrator's key", BOSS)
        await expect(page.get_by_role("row", name="demo")).to_contain_text("2")
        await expect(page.locator("figure rect[class^=part]")).not_to_have_count(0)
        await expect(page.get_by_role("img", name="Tokens by day and model, the last 7 days")).to_be_visible()
        await page.get_by_label("Told apart by").select_option("team")
        await expect(page.get_by_role("row", name="research")).to_contain_text("3")


async def test_a_model_is_loaded_and_its_log_is_read(page: Page, simulator_server: SimulatorServer):
    """On a laptop without keys, too."""
    asleep = ModelEntry("org/demo", ("default",), state=ASLEEP)
    async with page_gateway(simulator_server.url, models=[asleep]) as gateway:
        gateway.source.there.clear()
        gateway.app.desk.read_log = lambda replica: ["the first line", f"of {replica}"]
        await page.goto(f"{gateway.url}/#models")
        card = page.get_by_role("region", name="org/demo")
        await expect(card).to_contain_text("asleep")
        await card.get_by_role("button", name="Load").click()
        await eventually(lambda: gateway.app.pools["org/demo"].waiting == 1)
        await expect(card).to_contain_text("1 waiting")
        report = ReplicaReport(model="org/demo", replica="r1", phases=[PhaseMark(phase=Phase.READY, at=1)], updated=3)
        gateway.app.desk.reports = [report]
        gateway.app.reconfigure(Catalog([ModelEntry("org/demo", state=derive_state([report]))]))
        gateway.source.there.set()
        await expect(card).to_contain_text("ready 2.0 s · replica r1")
        await expect(card.get_by_role("button", name="Load")).to_be_disabled()
        await card.get_by_role("button", name="End of the log").click()
        await expect(card.get_by_label("End of the log of org/demo").last).to_have_text("the first line\nof r1")


async def test_a_model_that_failed_says_why_and_what_helps(page: Page, simulator_server: SimulatorServer):
    failed = Failure(cause="Too little memory.", remedy="Set max_model_len to 4096.", log_tail=["Traceback", "boom"])
    report = ReplicaReport(
        model="demo", replica="r1", phases=[PhaseMark(phase=Phase.FAILED, at=1)], failure=failed, updated=1
    )
    async with page_gateway(simulator_server.url, models=[ModelEntry("demo", state=derive_state([report]))]) as gateway:
        gateway.app.desk.reports = [report]
        await page.goto(f"{gateway.url}/#models")
        card = page.get_by_role("region", name="demo")
        await expect(card).to_contain_text("Last failure: Too little memory.")
        await expect(card).to_contain_text("What helps: Set max_model_len to 4096.")
        await card.get_by_role("button", name="End of the log").click()
        await expect(card.get_by_label("End of the log of demo").last).to_have_text("Traceback\nboom")


async def test_without_keys_the_page_says_that_there_are_none(page: Page, simulator_server: SimulatorServer):
    async with page_gateway(simulator_server.url) as gateway:
        for view in ("tokens", "usage"):
            await page.goto(f"{gateway.url}/#{view}")
            await expect(page.get_by_role("alert")).to_contain_text("There are no keys here")
