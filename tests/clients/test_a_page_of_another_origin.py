"""OpenAI's client for Node in a page of another origin, in a real Chromium, with a key that is meant for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, Route

from penstock.gateway.catalog import ModelEntry
from support.browsers import browser, page
from support.client_rows import NODE_MODULES, node
from support.doors import STATE, Door, door
from support.engines import SimulatorServer
from support.keys import listed

__all__ = ["browser", "page"]

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

KEY = "psk_" + "7" * 43
HTML = """<!doctype html><title>app</title><script type="module">
import OpenAI from "/openai/index.mjs";
window.ask = async (baseURL, apiKey, model) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, dangerouslyAllowBrowser: true });
  const messages = [{ role: "user", content: "Hello" }];
  const pieces = [];
  try {
    const stream = await client.chat.completions.create({ model, messages, max_tokens: 5, stream: true });
    for await (const chunk of stream) pieces.push(chunk.choices[0].delta.content ?? "");
  } catch (error) {
    return `${error.status} ${error.message}`;
  }
  return pieces.join("");
};
</script>"""


@pytest.fixture
def guarded(simulator_server: SimulatorServer, request: pytest.FixtureRequest) -> Iterator[Door]:
    """Asks for keys, of which one may use one model and soon ends; its parameter is what pages may do."""
    ends = (datetime.now(UTC) + timedelta(minutes=15)).isoformat()
    keys = {"visitor": listed(KEY, models=["demo"], expires=ends)}
    models = [ModelEntry("demo", (), 0, STATE), ModelEntry("other", (), 0, STATE)]
    with door(simulator_server, settings=request.param, accounts={}, keys=keys, models=models) as found:
        yield found


async def opened(page: Page, gateway: Door) -> str:
    """The address of the gateway, called from a page of `localhost`: another origin than `127.0.0.1`."""
    node()

    async def serve(route: Route) -> None:
        path = route.request.url.partition("/openai/")[2]
        kind: dict[str, Any] = {"content_type": "text/javascript"} if path else {"content_type": "text/html"}
        await route.fulfill(body=(NODE_MODULES / "openai" / path).read_text() if path else HTML, **kind)

    # Chromium takes a page whose requests are answered here for one from outside, and asks its user.
    await page.context.grant_permissions(["local-network-access"])
    await page.route(f"http://localhost:{gateway.port}/**", serve)
    await page.goto(f"http://localhost:{gateway.port}/")
    await page.wait_for_function("window.ask !== undefined")
    return gateway.api


@pytest.mark.parametrize("guarded", [{"cors": {"allowOrigins": ["*"]}}], indirect=True)
async def test_a_page_streams_with_a_key_of_its_own(page: Page, guarded: Door) -> None:
    api = await opened(page, guarded)
    assert len((await page.evaluate("(api) => ask(...api)", [api, KEY, "demo"])).split()) == 5
    assert (await page.evaluate("(api) => ask(...api)", [api, KEY, "other"])).startswith("403 ")
    assert (await page.evaluate("(api) => ask(...api)", [api, "none", "demo"])).startswith("401 ")


@pytest.mark.parametrize("guarded", [{"cors": {"allowOrigins": ["https://app.example.com"]}}], indirect=True)
async def test_a_page_that_is_not_named_gets_nothing(page: Page, guarded: Door) -> None:
    api = await opened(page, guarded)
    assert await page.evaluate("(api) => ask(...api)", [api, KEY, "demo"]) == "undefined Connection error."
