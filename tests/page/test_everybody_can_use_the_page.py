"""The page for those who use a keyboard, a screen reader, a phone, or the dark: axe finds no serious fault anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from penstock.accounts import secret
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.gateway.catalog import ModelEntry, derive_state
from support.browsers import LIMIT
from support.engines import SimulatorServer
from support.gateways import Gateway
from support.keys import listed, opened
from support.pages import ASLEEP, MODELS, page_gateway

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)

BOSS = secret.new_key()
WORLDS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "a phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}, "has_touch": True},
}


@asynccontextmanager
async def everything(engine: SimulatorServer, folder: Path) -> AsyncIterator[Gateway]:
    """A gateway on which every view has something to show."""
    failure = Failure(cause="Too little memory.", remedy="Set max_model_len to 4096.")
    failed = ReplicaReport(
        model="broken", replica="r1", phases=[PhaseMark(phase=Phase.FAILED, at=1)], failure=failure, updated=1
    )
    models = [*MODELS, ModelEntry("sleeper", state=ASLEEP), ModelEntry("broken", state=derive_state([failed]))]
    settings = {"database": {"sqlite": str(folder / "accounts.db")}, "usage": {"flush": 0.05}}
    keys = {"boss": listed(BOSS, roles=["admin", "user"])}
    async with (
        opened(settings, keys) as accounts,
        page_gateway(engine.url, models=models, accounts=accounts) as gateway,
    ):
        gateway.app.desk.reports = [failed]
        yield gateway


async def no_serious_fault(page: Page, where: str) -> None:
    found = await Axe().run(page)
    serious = [fault for fault in found.response["violations"] if fault["impact"] in ("serious", "critical")]
    told = [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in serious]
    assert told == [], where
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{where} is {wide} pixels wider than the window"


async def asked_for_a_key(page: Page) -> None:
    await expect(page.get_by_label("Key", exact=True)).to_be_visible()


async def conversation(page: Page) -> None:
    await page.get_by_label("Key", exact=True).fill(BOSS)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Compare two").click()
    await page.get_by_label("Message", exact=True).fill("Hello")
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn.model[aria-busy=false]")).to_have_count(2)


async def code(page: Page) -> None:
    await page.get_by_role("link", name="API").click()
    await expect(page.get_by_label("Code")).to_contain_text("curl")


async def models(page: Page) -> None:
    await page.get_by_role("link", name="Models").click()
    await expect(page.get_by_role("region", name="broken")).to_contain_text("What helps")


async def tokens(page: Page) -> None:
    await page.get_by_role("link", name="Tokens").click()
    await page.get_by_label("Name", exact=True).fill(f"token-{secret.new_key()[4:10].lower()}")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("button", name="I have it")).to_be_visible()


async def question(page: Page) -> None:
    await page.get_by_role("button", name="I have it").click()
    await page.get_by_role("button", name="Revoke token").first.click()
    await expect(page.get_by_role("dialog")).to_be_visible()


async def usage(page: Page) -> None:
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Usage").click()
    await expect(page.get_by_role("img", name="Tokens by day")).to_be_visible()


VIEWS: list[Callable[[Page], Awaitable[None]]] = [
    asked_for_a_key, conversation, code, models, tokens, question, usage,
]  # fmt: skip


@pytest.mark.parametrize("page", WORLDS.values(), ids=WORLDS, indirect=True)
async def test_axe_finds_no_serious_fault_in_any_view(page: Page, simulator_server: SimulatorServer, tmp_path: Path):
    async with everything(simulator_server, tmp_path) as gateway:
        await page.goto(gateway.url)
        for view in VIEWS:
            await view(page)
            await no_serious_fault(page, view.__name__)


async def test_a_keyboard_is_enough(page: Page, simulator_server: SimulatorServer):
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await expect(page.get_by_label("Model", exact=True)).to_have_value("demo")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        for name in ("Playground", "API"):
            await page.keyboard.press("Tab")
            await expect(page.get_by_role("link", name=name)).to_be_focused()
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "the focus is seen"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="API")).to_be_focused()
        await expect(page.get_by_role("link", name="API")).to_have_attribute("aria-current", "page")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Model", exact=True)).to_be_focused()


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
async def test_nothing_moves_for_those_who_want_it_still(page: Page, simulator_server: SimulatorServer):
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await page.get_by_label("Most tokens").fill("50000")
        await page.get_by_label("Message", exact=True).fill("Hello")
        await page.keyboard.press("Enter")
        await expect(page.locator(".turn.model[aria-busy=true] .text")).not_to_be_empty()
        assert await page.evaluate("document.getAnimations().length") == 0
        await page.get_by_role("button", name="Stop").click()
        await expect(page.locator(".facts")).to_have_text("Stopped.")
