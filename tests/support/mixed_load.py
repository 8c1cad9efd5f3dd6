"""Mixed clients of one address that try nothing twice, and an account of every request. Used by tests/chaos."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import orjson

Kind = Literal["stream", "whole", "embedding", "hang-up"]
Fate = Literal["whole", "told", "lost", "left"]
"""How a request went: answered; begun and ended by an error event; neither of them; given up by its client."""

KINDS: dict[Kind, int] = {"stream": 12, "whole": 5, "embedding": 2, "hang-up": 1}
"""How often each is sent, relative to the others."""


@dataclass(frozen=True)
class Request:
    """What became of one."""

    id: str
    model: str
    kind: Kind
    fate: Fate
    seconds: float
    said: str = ""
    """Where it was not whole: what the answer or the connection said."""


@dataclass
class MixedLoad:
    """So many requests at a time as `level` says, until it is closed.

    Args:
        url: the address, without a path.
        models: each as often as it is named.
        seed: decides who asks what.
    """

    url: str
    models: Sequence[str]
    seed: int = 0
    level: int = 0
    done: list[Request] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, seconds: float, levels: Sequence[int], every: float) -> None:
        """Keep the load up, going through the levels in turn; ends when the last request has ended."""
        chance = random.Random(self.seed)
        began = time.monotonic()
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=300)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while (passed := time.monotonic() - began) < seconds:
                self.level = levels[int(passed / every) % len(levels)]
                while len(self._running) < self.level:
                    (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
                    task = asyncio.create_task(self._note(session, chance.choice(self.models), kind))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                await asyncio.sleep(0.02)
            if self._running:
                await asyncio.wait(self._running)

    def of_fate(self, fate: Fate) -> list[Request]:
        return [request for request in self.done if request.fate == fate]

    def counts(self) -> dict[str, int]:
        """Requests by kind and fate."""
        return dict(sorted(Counter(f"{request.kind}: {request.fate}" for request in self.done).items()))

    async def _note(self, session: aiohttp.ClientSession, model: str, kind: Kind) -> None:
        began, name = time.monotonic(), uuid.uuid4().hex
        try:
            fate, said = await self._ask(session, model, kind, name)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            fate, said = "lost", repr(error)
        self.done.append(Request(name, model, kind, fate, time.monotonic() - began, said))

    async def _ask(self, session: aiohttp.ClientSession, model: str, kind: Kind, name: str) -> tuple[Fate, str]:
        path = "embeddings" if kind == "embedding" else "chat/completions"
        headers = {"x-request-id": name}
        async with session.post(f"{self.url}/v1/{path}", json=_body(model, kind), headers=headers) as answer:
            if answer.status != 200:
                return "lost", f"{answer.status} {(await answer.text())[:300]}"
            if kind in ("whole", "embedding"):
                whole = orjson.loads(await answer.read())
                return ("whole", "") if whole.get("data") or whole.get("choices") else ("lost", str(whole)[:300])
            return await _read(answer, until=5 if kind == "hang-up" else None)


async def _read(answer: aiohttp.ClientResponse, until: int | None) -> tuple[Fate, str]:
    """How a stream ended; left after `until` events, where that is given."""
    events = 0
    async for line in answer.content:
        if not line.startswith(b"data: "):
            continue
        data = line[6:].strip()
        if data == b"[DONE]":
            return "whole", ""
        event = orjson.loads(data)
        if "error" in event:
            return ("told" if events else "lost"), str(event["error"])[:300]
        events += 1
        if events == until:
            return "left", ""
    return "lost", f"ended in silence after {events} events"


def _body(model: str, kind: Kind) -> dict[str, Any]:
    if kind == "embedding":
        return {"model": model, "input": "a river"}
    question = {"role": "user", "content": "Tell me something long."}
    return {"model": model, "messages": [question], "stream": kind in ("stream", "hang-up")}
