"""A whole Penstock with a model that sleeps, seen in a browser: it wakes, answers, shows its log, sleeps again."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.browsers import LIMIT
from support.started import Penstock

pytestmark = [pytest.mark.ray, pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)

MODEL = {"engine": "simulator", "replicas": {"min": 0, "max": 1}, "options": {"startup": 2, "output_tokens": 12}}


@pytest.mark.timeout(600)
async def test_a_model_that_sleeps_wakes_while_its_reader_watches(page: Page, tmp_path: Path):
    penstock = Penstock(tmp_path / "penstock", {"models": {"demo": MODEL}})
    await asyncio.to_thread(penstock.__enter__)
    try:
        assert f"In a browser: {penstock.url}/" in penstock.said()
        page.set_default_timeout(2 * LIMIT)
        await page.goto(penstock.url)
        await expect(page.locator(".state")).to_contain_text("Asleep: your first message wakes it.")
        await page.get_by_label("Message", exact=True).fill("Good morning")
        await page.keyboard.press("Enter")
        await expect(page.locator(".wake")).to_contain_text("Waking the model")
        await expect(page.locator(".phases")).to_contain_text(re.compile("starting|loading"), timeout=2 * LIMIT)
        await expect(page.locator(".facts")).to_contain_text("12 tokens", timeout=2 * LIMIT)
        await expect(page.locator(".facts")).to_contain_text("for a replica")
        await expect(page.locator(".state")).to_contain_text("Ready, 1 replica.")
        await page.get_by_role("link", name="Models").click()
        card = page.get_by_role("region", name="demo")
        await expect(card).to_contain_text("ready")
        await card.get_by_role("button", name="End of the log").click()
        await expect(card.locator("pre")).not_to_be_empty()
        await expect(card.locator("pre")).not_to_contain_text("The log lies where")
        await card.get_by_role("button", name="Unload").click()
        await expect(card).to_contain_text("asleep", timeout=2 * LIMIT)
        await expect(card).to_contain_text("starts in about")
    finally:
        await asyncio.to_thread(penstock.__exit__, None, None, None)
