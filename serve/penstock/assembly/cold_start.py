"""From no engine to the first answer: a Penstock whose model is at zero, and a bare engine beside it, in pairs.

Used by `penstock bench --cold-start`. Everything that is started here ends with the run.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp

from penstock.assembly.comparison import LOOPBACK, bare_engine, compared_model, own_penstock
from penstock.config import Document, Replicas
from penstock.engine.replica import free_port
from penstock.errors import EngineError

IDLE_LIMIT = 300.0
"""Seconds in which a model that nobody asks for has gone."""
_LOOK = 0.2


class ColdStart(NamedTuple):
    """One pair. Times in seconds from asking for the engine."""

    bare: float
    """To the first answer of a bare engine."""
    first: float
    """To the first answer of Penstock's."""
    last: float
    """To the last of the answers that waited."""
    answered: int
    """Requests that were answered, of all that waited."""

    @property
    def added(self) -> float:
        """What Penstock takes on top, up to the last answer."""
        return self.last - self.bare


async def cold_starts(
    document: Document, folder: Path, say: Callable[[str], None], *, pairs: int, requests: int
) -> list[ColdStart]:
    """Measure.

    Args:
        document: its first model with weights is started; what it says of replicas does not count.
        folder: for logs and the state of the Penstock that is started.
        say: told what is being done.
        pairs: starts of each kind.
        requests: how many wait for Penstock's engine each time.

    Raises:
        DocumentError: it names no model with weights.
        EngineError: something does not start, or does not go.
    """
    name, model = compared_model(document)
    elastic = model.model_copy(update={"replicas": Replicas(min=0, max=1, target=1024, downscale_to_zero_delay=1.0)})
    port = free_port(LOOPBACK)
    gateway = document.gateway.model_copy(update={"host": LOOPBACK, "port": port})
    served = document.model_copy(update={"models": {name: elastic}, "gateway": gateway})
    url = f"http://{LOOPBACK}:{port}/v1"
    found = []
    say("Penstock is starting, without an engine")
    async with (
        own_penstock(served, folder),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        for turn in range(1, pairs + 1):
            say(f"pair {turn} of {pairs}: a bare engine")
            began = time.monotonic()
            async with bare_engine(name, model, document, folder) as bare:
                await _ask(session, bare.url, name)
                alone = time.monotonic() - began
            await _until_idle(session, url, name)
            say(f"pair {turn} of {pairs}: {requests} requests wait for Penstock's")
            began = time.monotonic()
            ends = [end for end in await asyncio.gather(*(_end(session, url, name) for _ in range(requests))) if end]
            if not ends:
                raise EngineError("No request that waited was answered.", remedy=f"The logs are in {folder}.")
            found.append(ColdStart(alone, min(ends) - began, max(ends) - began, len(ends)))
            await _until_idle(session, url, name)
    return found


def told(found: list[ColdStart], requests: int) -> str:
    """The pairs as a table in Markdown, the medians last."""
    rows = [
        f"| {turn} | {_cells(pair.bare, pair.first, pair.last, pair.added)} | {pair.answered} of {requests} |"
        for turn, pair in enumerate(found, 1)
    ]
    times = zip(*((pair.bare, pair.first, pair.last, pair.added) for pair in found), strict=True)
    medians = _cells(*(statistics.median(column) for column in times))
    return "\n".join(
        [
            "| pair | bare engine, s | first answer, s | last answer, s | added, s | answered |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            f"| median | {medians} | |",
        ]
    )


def _cells(bare: float, first: float, last: float, added: float) -> str:
    return f"{bare:.1f} | {first:.1f} | {last:.1f} | {added:+.1f}"


async def _end(session: aiohttp.ClientSession, url: str, model: str) -> float | None:
    """When the answer was whole; None where it was none."""
    try:
        await _ask(session, url, model)
    except (aiohttp.ClientError, TimeoutError):
        return None
    return time.monotonic()


async def _ask(session: aiohttp.ClientSession, url: str, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    timeout = aiohttp.ClientTimeout(total=900)
    async with session.post(f"{url}/chat/completions", json=body, timeout=timeout) as answer:
        await answer.read()
        answer.raise_for_status()


async def _until_idle(session: aiohttp.ClientSession, url: str, model: str) -> None:
    limit = time.monotonic() + IDLE_LIMIT
    while True:
        async with session.get(f"{url}/models/{model}") as answer:
            if (await answer.json())["status"] == "idle":
                return
        if time.monotonic() > limit:
            raise EngineError(f"{model!r} did not go to zero within {IDLE_LIMIT:g} s.", remedy="See the logs.")
        await asyncio.sleep(_LOOK)
