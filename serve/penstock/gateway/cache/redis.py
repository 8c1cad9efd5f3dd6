"""Answers in a Redis, for all gateways together. Used by `caching`.

It never fails: a Redis that is gone, slow, full or odd has no answer. After a failure nobody asks it for a second, so
that requests are not all late for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from redis.exceptions import RedisError

from penstock.accounts.redis_pool import connect
from penstock.gateway.cache.stored import Stored, decode, encode

logger = logging.getLogger(__name__)

PREFIX: Final = "penstock:answer:"
PATIENCE: Final = 0.25
"""Seconds that a request waits for it at most: an engine would have begun to answer."""
AGAIN: Final = 1.0
"""Seconds until it is asked again after a failure."""

_UNREACHABLE = (RedisError, OSError, TimeoutError)


class RedisAnswers:
    """Belongs to one event loop. Raises ValueError where the address is none.

    Args:
        address: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        largest: bytes of the largest answer that it gets.
    """

    def __init__(self, address: str, largest: int) -> None:
        self._redis = connect(address, PATIENCE)
        self._largest = largest
        self._failed: float | None = None

    @property
    def gone(self) -> bool:
        """Whether it failed when it was last asked."""
        return self._failed is not None

    async def get(self, key: str) -> Stored | None:
        """An answer, however old."""
        if self._rests():
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                text = await self._redis.get(PREFIX + key)
        except _UNREACHABLE as error:
            self._note(error)
            return None
        self._failed = None
        return decode(text) if isinstance(text, bytes) else None

    async def put(self, key: str, answer: Stored, ttl: float) -> None:
        """Keep an answer for so many seconds, where it is not too large."""
        if self._rests() or len(answer.body) > self._largest:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await self._redis.set(PREFIX + key, encode(answer), px=max(1, int(ttl * 1000)))
        except _UNREACHABLE as error:
            self._note(error)
        else:
            self._failed = None

    async def close(self) -> None:
        """End all connections."""
        await self._redis.aclose()

    def _rests(self) -> bool:
        return self._failed is not None and asyncio.get_running_loop().time() - self._failed < AGAIN

    def _note(self, error: BaseException) -> None:
        if self._failed is None:
            # Its text may hold the address.
            logger.warning("the Redis of the cache cannot be used", extra={"fields": {"error": type(error).__name__}})
        self._failed = asyncio.get_running_loop().time()
