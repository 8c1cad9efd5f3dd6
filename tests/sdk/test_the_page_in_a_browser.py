"""The page of a whole Penstock, asked in a real browser, with the demo model on a real vLLM behind it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from support.browsers import LIMIT
from support.deployments import CHAT, EMBEDDING, Deployment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)


async def test_a_real_model_answers_in_the_browser_and_one_without_chat_is_refused(
    running_penstock: Deployment, page: Page
):
    await page.goto(running_penstock.url)
    await expect(page.locator(".state")).to_contain_text("Ready")
    await page.get_by_label("Model", exact=True).select_option(CHAT)
    await page.get_by_label("Temperature").fill("0")
    await page.get_by_label("Message", exact=True).fill("What is the capital of France?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn.model .text")).to_contain_text("Paris", timeout=2 * LIMIT)
    await expect(page.locator(".facts")).to_contain_text("tokens/s")
    await page.get_by_label("Model", exact=True).select_option(EMBEDDING)
    await page.get_by_label("Message", exact=True).fill("What is the capital of France?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".turn .problem")).to_contain_text("does not offer /v1/chat/completions")
