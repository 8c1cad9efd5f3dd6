"""The playground in a real browser: who asks gets an answer, may stop it, compares two, and sees a model wake."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace

import httpx
import orjson
import pytest
from playwright.async_api import Page, expect

from penstock.board import Phase, PhaseMark, ReplicaReport
from penstock.gateway.catalog import Catalog, ModelEntry, derive_state
from support.browsers import LIMIT
from support.engines import SimulatorServer
from support.gateways import eventually, head, refuses, says
from support.pages import ASLEEP, READY, fake_engine, page_gateway

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]
expect.set_options(timeout=LIMIT)

TOKENS = re.compile(r"first token after [\d.]+ s · 20 tokens · [\d.]+ tokens/s · prompt of \d+ tokens")


async def send(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


async def aborts(engine: SimulatorServer) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{engine.url}/metrics")).text
    return sum(float(value) for value in re.findall(r'request_success_total{[^}]*"abort"[^}]*} ([\d.]+)', text))


async def test_whoever_opens_the_address_gets_an_answer(page: Page, simulator_server: SimulatorServer):
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await expect(page.get_by_role("heading", name="Playground")).to_be_visible()
        await expect(page.locator(".state")).to_have_text("Ready, 1 replica.")
        await page.get_by_label("Message", exact=True).fill("Hello there")
        await page.keyboard.press("Enter")
        await expect(page.locator(".facts")).to_have_text(TOKENS)
        assert len((await page.locator(".turn.model .text").inner_text()).split()) >= 10
        await expect(page.locator(".turn.user")).to_contain_text("Hello there")
        await expect(page.get_by_role("status")).to_contain_text("demo has answered: ")
        await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def test_the_conversation_and_the_parameters_are_sent(page: Page):
    said = b'data: {"choices":[{"delta":{"content":"Fine."}}]}\n\ndata: [DONE]\n\n'
    async with fake_engine(says(stream(said))) as fake, page_gateway(fake.replica.base_url) as gateway:
        await page.goto(gateway.url)
        await page.get_by_label("System prompt", exact=True).fill("Be brief.")
        await page.get_by_label("Temperature").fill("0.3")
        await page.get_by_label("Most tokens").fill("0")  # which no engine takes: left out
        for number, text in enumerate(["How are you?", "Why?"], 1):
            await send(page, text)
            await expect(page.locator(".turn.model[aria-busy=false]")).to_have_count(number)
        first, second = (orjson.loads(seen.body) for seen in fake.seen)
    assert first == {
        "model": "demo",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How are you?"}],
        "temperature": 0.3,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert [message["content"] for message in second["messages"]] == ["Be brief.", "How are you?", "Fine.", "Why?"]


async def test_stop_ends_the_answer_at_the_engine_too(page: Page, simulator_server: SimulatorServer):
    before = await aborts(simulator_server)
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await page.get_by_label("Most tokens").fill("50000")
        await send(page, "Tell me everything")
        await expect(page.locator(".turn.model .text")).not_to_be_empty()
        await expect(page.get_by_role("button", name="Stop")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator(".facts")).to_have_text("Stopped.")
        await eventually(lambda: gateway.app.pools["demo"].lent == 0)
        async with asyncio.timeout(60):
            while await aborts(simulator_server) == before:  # noqa: ASYNC110  # the engine tells nobody
                await asyncio.sleep(0.05)
        await expect(page.get_by_role("button", name="Stop")).to_be_disabled()


async def test_two_models_answer_side_by_side(page: Page, simulator_server: SimulatorServer):
    async with page_gateway(simulator_server.url) as gateway:
        await page.goto(gateway.url)
        await page.get_by_role("button", name="Compare two").click()
        await expect(page.get_by_label("Second model", exact=True)).to_have_value("default")
        await page.get_by_label("Second model", exact=True).select_option("other")
        await send(page, "Hello")
        await expect(page.locator(".facts")).to_have_text([TOKENS, TOKENS])
        assert [await who.inner_text() for who in await page.locator(".turn.model .who").all()] == ["demo", "other"]
        await page.get_by_role("button", name="Compare two").click()
        await expect(page.locator(".pane")).to_have_count(1)


async def test_what_a_model_says_is_shown_as_text_and_a_little_markdown(page: Page):
    said = r"<img src=x onerror=alert(1)> **bold** `<b>`\n\n```js\nlet a = 1 < 2;\n```\n\n- one\n- two"
    events = f'data: {{"choices":[{{"delta":{{"content":"{said}"}}}}]}}\n\ndata: [DONE]\n\n'.encode()
    async with fake_engine(says(stream(events))) as fake, page_gateway(fake.replica.base_url) as gateway:
        await page.goto(gateway.url)
        await send(page, "Hello")
        text = page.locator(".turn.model .text")
        await expect(text.locator("p").first).to_have_text("<img src=x onerror=alert(1)> bold <b>")
        await expect(text.locator("pre")).to_have_text("let a = 1 < 2;")
        await expect(text.locator("li")).to_have_text(["one", "two"])
        await expect(text.locator("img")).to_have_count(0)


async def test_a_refusal_is_told_in_the_gateways_words(page: Page):
    said = b'{"error":{"message":"This prompt is too long.","type":"x","param":null,"code":null}}'
    async with fake_engine(refuses(400, said)) as fake, page_gateway(fake.replica.base_url) as gateway:
        await page.goto(gateway.url)
        await send(page, "Hello")
        await expect(page.locator(".turn .problem")).to_contain_text("This prompt is too long. (request ")


async def test_an_answer_that_breaks_off_is_no_answer(page: Page):
    said = b'data: {"choices":[{"delta":{"content":"Half"}}]}\n\n'
    async with fake_engine(says(stream(said))) as fake, page_gateway(fake.replica.base_url) as gateway:
        await page.goto(gateway.url)
        await send(page, "Hello")
        await expect(page.locator(".turn.model .text")).to_have_text("Half")
        await expect(page.locator(".turn .problem")).to_be_visible()


async def test_a_sleeping_model_says_that_it_will_wake_and_shows_how_far_it_is(
    page: Page, simulator_server: SimulatorServer
):
    asleep = ModelEntry("demo", state=replace(ASLEEP, starts=(("gone", 42.0),)))
    async with page_gateway(simulator_server.url, models=[asleep]) as gateway:
        gateway.source.there.clear()
        await page.goto(gateway.url)
        await expect(page.locator(".state")).to_have_text("Asleep: your first message wakes it. That takes about 42 s.")
        await expect(page.get_by_label("Model", exact=True).locator("option")).to_have_text("demo (asleep)")
        await send(page, "Wake up")
        await expect(page.locator(".wake")).to_contain_text("Waking the model")
        await expect(page.locator(".phases li")).to_have_text("asked for a replica")
        await eventually(lambda: gateway.app.pools["demo"].waiting == 1)
        gateway.app.reconfigure(Catalog([replace(asleep, state=derive_state([on_its_way()]))]))
        await expect(page.locator(".phases li")).to_have_count(2)
        await expect(page.locator(".phases li").first).to_have_text("fetching12 s")
        await expect(page.locator(".phases li").last).to_contain_text("loading · 1.2 of 4.0 GiB")
        gateway.app.reconfigure(Catalog([replace(asleep, state=READY)]))
        gateway.source.there.set()
        await expect(page.locator(".facts")).to_contain_text("20 tokens")
        await expect(page.locator(".facts")).to_contain_text("for a replica")
        await expect(page.locator(".wake")).to_have_count(0)
        await expect(page.locator(".state")).to_have_text("Ready, 1 replica.")


async def test_a_stream_that_shows_signs_of_life_wakes_a_model_as_well(page: Page, simulator_server: SimulatorServer):
    models = [ModelEntry("demo", state=ASLEEP)]
    settings = {"hold": {"heartbeat": 0.05}}
    async with page_gateway(simulator_server.url, models=models, settings=settings) as gateway:
        gateway.source.there.clear()
        await page.goto(gateway.url)
        await send(page, "Wake up")
        await expect(page.locator(".wake")).to_contain_text("Waking the model")
        await eventually(lambda: gateway.app.pools["demo"].waiting == 1)
        waits_from = time.monotonic()
        # Less than half a second is not told.
        await eventually(lambda: time.monotonic() > waits_from + 0.6)
        gateway.source.there.set()
        await expect(page.locator(".facts")).to_contain_text("for a replica")


def on_its_way() -> ReplicaReport:
    marks = [PhaseMark(phase=Phase.FETCHING, at=100.0), PhaseMark(phase=Phase.LOADING, at=112.0)]
    return ReplicaReport(model="demo", replica="r", phases=marks, detail="1.2 of 4.0 GiB", updated=115.0)


def stream(events: bytes) -> bytes:
    lines = [("content-type", "text/event-stream"), ("content-length", str(len(events)))]
    return head(200, lines) + events
