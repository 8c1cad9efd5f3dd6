"""Streams of chat answers, many at once, and how each ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson


@dataclass
class Ended:
    """How one stream went."""

    status: int = 0
    chunks: int = 0
    done: bool = False
    """It ended with `[DONE]`."""
    error: dict[str, Any] | None = None
    """The error object of the answer, or of an event in the stream."""
    broke: str = ""
    """What the connection did, where it did not end as HTTP does."""

    @property
    def whole(self) -> bool:
        return self.status == 200 and self.done and self.error is None and not self.broke

    @property
    def silent(self) -> bool:
        """It ended without saying whether it is whole."""
        return not self.done and self.error is None and not self.broke


@dataclass
class Streams:
    """A crowd of clients of one address."""

    url: str
    model: str
    max_tokens: int = 64
    extra: dict[str, Any] = field(default_factory=dict)
    running: int = 0
    """Streams that had their first chunk and did not end yet."""

    async def one(self, session: aiohttp.ClientSession) -> Ended:
        ended = Ended()
        body = {
            "model": self.model,
            "stream": True,
            "max_tokens": self.max_tokens,
            "messages": [{"role": "user", "content": "Tell me something long."}],
            **self.extra,
        }
        began = False
        try:
            async with session.post(f"{self.url}/v1/chat/completions", json=body) as answer:
                ended.status = answer.status
                if answer.status != 200:
                    ended.error = orjson.loads(await answer.read())["error"]
                    return ended
                async for line in answer.content:
                    if not line.startswith(b"data: "):
                        continue
                    if not began:
                        began, self.running = True, self.running + 1
                    self._take(line[6:].strip(), ended)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            ended.broke = repr(error)
        finally:
            self.running -= began
        return ended

    async def many(self, count: int) -> list[Ended]:
        async with self.session() as session:
            return await asyncio.gather(*(self.one(session) for _ in range(count)))

    async def without_pause(self, count: int, enough: asyncio.Event) -> list[Ended]:
        """So many at every moment, however quick the answers are: one that ends is followed, until it is enough."""

        async def one_after_another(session: aiohttp.ClientSession) -> list[Ended]:
            ended = [await self.one(session)]
            while not enough.is_set():
                ended.append(await self.one(session))
            return ended

        async with self.session() as session:
            each = await asyncio.gather(*(one_after_another(session) for _ in range(count)))
        return [ended for chain in each for ended in chain]

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_read=240)
        )

    @staticmethod
    def _take(data: bytes, ended: Ended) -> None:
        if data == b"[DONE]":
            ended.done = True
            return
        event = orjson.loads(data)
        if "error" in event:
            ended.error = event["error"]
        else:
            ended.chunks += 1
