"""A real Chromium for the tests of the page, and pages in it that must not complain. Tests run in the session's loop,
`pytest.mark.asyncio(loop_scope="session")`, because the browser belongs to one.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

LIMIT = 60_000
"""Milliseconds that anything in the browser may take."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for the tests of a file: it starts processes when it likes, which other tests would take for their own. The
    system's own: none is downloaded."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        # A container's root may have no sandbox of Chromium's, and only our own page is shown in it.
        launched = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]
        )
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of its own, without storage of others. `indirect` parameters are those of Playwright's contexts.

    Fails where the page raised an error, or the browser refused something by the page's policy.
    """
    options: dict[str, Any] = getattr(request, "param", {})
    context = await browser.new_context(**options)
    context.set_default_timeout(LIMIT)
    made = await context.new_page()
    complaints: list[str] = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda message: complaints.append(message.text) if _complains(message.text) else None)
    yield made
    await context.close()
    assert complaints == []


def _complains(text: str) -> bool:
    return any(word in text for word in ("Content Security Policy", "Trusted Type", "TrustedHTML", "MIME type"))
