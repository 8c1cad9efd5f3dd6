"""A Penstock that is changed while streams run on it, whose clients never try again. Used by tests/rollouts."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from support.started import Penstock, until
from support.streams import Ended, Streams

LIMIT = 240.0
"""Seconds that replicas may take to come or go, on a machine that is busy with streams."""
STREAMS = 12
"""Of each kind."""


class Strangers(Streams):
    """Clients that open a connection for each request."""

    def session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None, sock_read=240))


@dataclass
class Rollouts:
    """A running Penstock, and what the tests here do with it."""

    penstock: Penstock

    @property
    def options(self) -> dict[str, Any]:
        """The model's."""
        options: dict[str, Any] = self.penstock.document["models"]["m"]["options"]
        return options

    def card(self) -> dict[str, Any]:
        """What a gateway knows of the model."""
        found: dict[str, Any] = httpx.get(f"{self.penstock.url}/v1/models/m", timeout=30).json()
        return found

    def answers(self, path: str) -> set[int]:
        """What all gateways answer: of so many connections, each gets some."""
        return {httpx.get(f"{self.penstock.url}{path}", timeout=30).status_code for _ in range(24)}

    def gateways(self) -> set[int]:
        """Processes of the gateways that listen."""
        return set(self.penstock.status()["gateway"]["pids"])

    async def apply(self, **changes: dict[str, Any]) -> None:
        """Change settings of the model (`m`) and of the gateway, and wait until they are in force."""
        document = copy.deepcopy(self.penstock.document)
        document["models"]["m"].update(changes.get("m", {}))
        document["gateway"].update(changes.get("gateway", {}))
        applied = await asyncio.to_thread(self.penstock.apply, document)
        assert applied.returncode == 0, applied.stdout + applied.stderr

    async def eventually(self, condition: Callable[[], object], what: str) -> None:
        await asyncio.to_thread(until, condition, limit=LIMIT, what=what, every=0.5)

    @asynccontextmanager
    async def streaming(self, tokens: int = 40) -> AsyncIterator[list[Ended]]:
        """Keeps streams going on kept and on fresh connections; they are in the list once the block is left."""
        ended: list[Ended] = []
        enough = asyncio.Event()
        kinds = [kind(self.penstock.url, "m", max_tokens=tokens) for kind in (Streams, Strangers)]
        crowds = [asyncio.create_task(streams.without_pause(STREAMS, enough)) for streams in kinds]
        try:
            await self.eventually(lambda: all(streams.running == STREAMS for streams in kinds), "all streams at once")
            yield ended
        finally:
            enough.set()
            for crowd in crowds:
                ended += await crowd
