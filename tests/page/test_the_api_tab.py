"""The API tab shows the playground's request as code, and the code does what it says: it is run as it is shown."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import orjson
import pytest
from playwright.async_api import Page, expect

from penstock.accounts import secret
from support.browsers import LIMIT
from support.engines import SimulatorServer
from support.gateways import head, says
from support.keys import listed, opened
from support.pages import fake_engine, page_gateway

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)

KEY = secret.new_key()
AWKWARD = "Say 'hi' and \"ho\",\nthen a `tick`, $HOME, \\n, 100 % and 😀."
ANSWER = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Fine."}}]}'
LINES = [("content-type", "application/json"), ("content-length", str(len(ANSWER)))]
COMMANDS = {
    "cURL": ("request.sh", ["bash"]),
    "Python": ("request.py", [sys.executable]),
    "Node": ("request.mjs", ["node"]),
    "Go": ("request.go", ["go", "run"]),
}


async def code_for(page: Page, language: str, *, streamed: bool = True) -> str:
    await page.get_by_role("link", name="API").click()
    await page.get_by_role("radio", name=language).check()
    await page.get_by_role("checkbox", name="streamed").set_checked(streamed)
    return await page.get_by_label("Code").inner_text()


async def run(language: str, code: str, folder: Path) -> str:
    """What the code prints; fails where it fails."""
    name, command = COMMANDS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} on this machine")
    file = folder / name
    file.write_text(code)
    process = await asyncio.create_subprocess_exec(
        *command,
        str(file),
        env={**os.environ, "PENSTOCK_API_KEY": KEY, "GOTOOLCHAIN": "local"},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, f"{code}\n{err.decode()}"
    return out.decode()


@pytest.mark.parametrize("language", COMMANDS)
async def test_the_code_gets_the_answer_that_it_promises(
    page: Page, simulator_server: SimulatorServer, tmp_path: Path, language: str
):
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await page.get_by_label("Message", exact=True).fill("Hello")
        await page.get_by_label("Most tokens").fill("7")
        for streamed in (True, False):
            code = await code_for(page, language, streamed=streamed)
            assert gateway.url in code
            assert len((await run(language, code, tmp_path)).split()) >= 7


@pytest.mark.parametrize("language", COMMANDS)
async def test_the_code_sends_what_was_typed_with_the_key_of_the_surroundings(
    page: Page, tmp_path: Path, language: str
):
    keys = {"me": listed(KEY)}
    async with (
        fake_engine(says(head(200, LINES) + ANSWER)) as fake,
        opened(keys=keys) as accounts,
        page_gateway(fake.replica.base_url, accounts=accounts) as gateway,
    ):
        await page.goto(gateway.url)
        await page.get_by_label("Key", exact=True).fill(KEY)
        await page.keyboard.press("Enter")
        await page.get_by_label("System prompt", exact=True).fill("Be 'brief'.")
        await page.get_by_label("Temperature").fill("0.5")
        await page.get_by_label("Message", exact=True).fill(AWKWARD)
        code = await code_for(page, language, streamed=False)
        assert KEY not in code
        assert "Fine." in await run(language, code, tmp_path)
        sent = orjson.loads(fake.seen[0].body)
    assert sent == {
        "model": "demo",
        "messages": [{"role": "system", "content": "Be 'brief'."}, {"role": "user", "content": AWKWARD}],
        "temperature": 0.5,
        "stream": False,
    }
