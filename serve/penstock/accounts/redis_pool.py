"""Connections to a Redis that several gateways share. Used by the counters of limits and by the cache of answers."""

from __future__ import annotations

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

CONNECTIONS: Final = 16


def connect(address: str, patience: float) -> Redis:
    """A client, which connects when it is first asked. Nothing is tried again: callers know better when.

    Args:
        address: `redis://:password@host:6379/0`, `rediss://…` or `unix://…`.
        patience: seconds that a connection may take, to be made or to be free.

    Raises:
        ValueError: the address is none.
    """
    pool = BlockingConnectionPool.from_url(
        address,
        max_connections=CONNECTIONS,
        timeout=patience,
        # Not `socket_timeout`: the library makes a task of each write then, which a request would wait for.
        socket_connect_timeout=patience,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
