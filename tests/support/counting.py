"""Gateways that count before real engines or simulators, and what engines say that they counted; for tests of usage."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from penstock import config
from penstock.accounts.opening import OpenAccounts
from penstock.gateway.app import GatewayApp
from penstock.gateway.catalog import Catalog, ModelEntry
from penstock.gateway.leases import Replica, StaticSource
from penstock.gateway.listener import Listener
from support.engines import ServerProcess

_COUNTERS = re.compile(r"^vllm:(prompt|generation)_tokens_total\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Tokens:
    """Sums over requests."""

    prompt: int
    completion: int

    def __sub__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)


async def counted_by(*servers: ServerProcess) -> Tokens:
    """What the engines have counted since their start, together. vLLM's counters follow its answers by a moment, so
    they are asked for until they stand still."""
    before: Tokens | None = None
    while (now := await asyncio.to_thread(_counted, servers)) != before:
        before = now
        await asyncio.sleep(0.3)
    return now


def _counted(servers: Sequence[ServerProcess]) -> Tokens:
    sums = {"prompt": 0, "generation": 0}
    for server in servers:
        for kind, value in _COUNTERS.findall(httpx.get(f"{server.url}/metrics", timeout=30).text):
            sums[kind] += int(float(value))
    return Tokens(sums["prompt"], sums["generation"])


@dataclass
class CountingGateway:
    """What a test gets."""

    app: GatewayApp
    url: str

    def tokens(self) -> Tokens:
        """What its own counters say."""
        found = dict(
            re.findall(
                r'^penstock_gateway_tokens_total\{kind="(\w+)",model="demo"\} (\S+)$',
                self.app.metrics.text().decode(),
                re.MULTILINE,
            )
        )
        return Tokens(int(float(found.get("prompt", 0))), int(float(found.get("completion", 0))))


@asynccontextmanager
async def counting_gateway(
    urls: Sequence[str], accounts: OpenAccounts | None, *, token: str = "", settings: dict[str, Any] | None = None
) -> AsyncIterator[CountingGateway]:
    """A gateway on loopback before engines that are there already, as replicas of the model `demo`."""
    source = StaticSource([Replica(f"replica-{number}", url, token) for number, url in enumerate(urls)])
    parsed = config.Gateway.model_validate(settings or {})
    app = GatewayApp(parsed, Catalog([ModelEntry("demo", (), 1_700_000_000)]), lambda _: source, accounts=accounts)
    listener = Listener(app, parsed, port=0)
    await listener.start()
    try:
        yield CountingGateway(app, f"http://127.0.0.1:{listener.port}")
    finally:
        await listener.stop(0.1)
        await app.close()


async def leave_after(client: httpx.AsyncClient, path: str, body: dict[str, Any], *, events: int) -> None:
    """Send a request and hang up after so many lines of its answer; after none, while the answer is waited for."""
    if not events:
        task = asyncio.ensure_future(client.post(path, json=body))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
        return
    async with client.stream("POST", path, json=body) as response:
        seen = 0
        async for _ in response.aiter_lines():
            seen += 1
            if seen >= events:
                break
