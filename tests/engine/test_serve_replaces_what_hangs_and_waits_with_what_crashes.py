"""The watchdog and the back-off within a whole Penstock: what Serve does with them, and what a person reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from support.started import Penstock, until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

FAST: dict[str, Any] = {"time_to_first_token": 0, "tokens_per_second": 0}
DOCUMENT = {
    "models": {
        # One request is the warm-up, so the second one of a client is the first that hangs.
        "hangs": {
            "engine": "simulator",
            "watchdog": {"stall": "2s"},
            "options": {**FAST, "hang_after": 2},
        },
        "crashes": {"engine": "simulator", "options": {**FAST, "crash_after": 1}},
    }
}


@pytest.fixture(scope="module")
def running_penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Penstock]:
    with Penstock(tmp_path_factory.mktemp("penstock"), DOCUMENT) as running:
        yield running


def _model(penstock: Penstock, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(model for model in penstock.status()["models"] if model["name"] == name)
    return found


def _said(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}


@contextlib.asynccontextmanager
async def _asking_again_and_again(penstock: Penstock, model: str) -> AsyncIterator[None]:
    """One client that asks for as long as this lasts, whatever it is told."""

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=penstock.url, timeout=600) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    await client.post("/v1/chat/completions", json=_said(model))
                await asyncio.sleep(0.1)

    asking = asyncio.ensure_future(ask())
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_request_that_an_engine_hangs_with_is_answered_by_its_replacement(running_penstock: Penstock) -> None:
    before = {replica["replica"] for replica in _model(running_penstock, "hangs")["replicas"]}
    async with httpx.AsyncClient(base_url=running_penstock.url, timeout=600) as client:
        for _ in range(2):
            answer = await client.post("/v1/chat/completions", json=_said("hangs"))
            assert answer.status_code == 200, answer.text
    now = _model(running_penstock, "hangs")
    assert not before & {replica["replica"] for replica in now["replicas"]}
    assert "The engine had 1 request and made no progress for " in now["failures"][-1]["failure"]["cause"]


async def test_engines_that_crash_again_and_again_wait_longer_and_say_so(running_penstock: Penstock) -> None:
    def waits() -> list[str]:
        replicas = _model(running_penstock, "crashes")["replicas"]
        return [replica["detail"] for replica in replicas if replica["phase"] == "backing off"]

    def waits_longer() -> list[str]:
        return [detail for detail in waits() if detail.startswith("3 failures in a row, so it waits ")]

    async with _asking_again_and_again(running_penstock, "crashes"):
        await asyncio.to_thread(until, waits_longer, limit=400, what="a second wait", every=1)
    shown = running_penstock.command("status").stdout
    assert "backing off" in shown
    assert "simulated crash" in shown

    changed = {"models": {**DOCUMENT["models"], "crashes": {"engine": "simulator", "options": FAST}}}
    applied = await asyncio.to_thread(running_penstock.apply, changed)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert _model(running_penstock, "crashes")["state"] == "ready"
