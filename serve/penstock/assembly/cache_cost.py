"""What an answer from the cache costs: one engine, asked directly, through a gateway, and through gateways that keep
answers, side by side.

The engine makes tokens for nothing, so that what a gateway adds is most of what there is. Used by `penstock bench
--cache`. Everything that is started here ends with the context.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from penstock.assembly.accounts_cost import FOR_NOTHING, started_gateway
from penstock.assembly.comparison import bare_engine
from penstock.assembly.own_servers import own_redis
from penstock.bench import Plan, Target
from penstock.config import Document

DIRECT: Final = "the engine, asked directly"
WITHOUT: Final = "a gateway without a cache"
MISS: Final = "a miss"
HIT: Final = "a hit in memory"
REDIS_HIT: Final = "a hit in Redis"

_MODEL: Final = {
    "engine": "simulator",
    "options": {"time_to_first_token": 0, "tokens_per_second": 0, "max_num_seqs": 1024},
}


def plan(pairs: int) -> Plan:
    """Short requests at one stream, all of them equal and determined."""
    return Plan.first_token(pairs)


def gateways(redis: Path) -> dict[str, dict[str, Any]]:
    """What each gateway is told, by its name.

    Args:
        redis: a file with the address of one.
    """
    return {
        WITHOUT: {},
        # What is kept is too old when the next one comes.
        MISS: {"cache": {"ttl": "1ms"}},
        HIT: {"cache": True},
        REDIS_HIT: {"cache": True, "gateway": {"cache": {"memory": 0, "redis": {"file": str(redis)}}}},
    }


@contextlib.asynccontextmanager
async def with_and_without(folder: Path, say: Callable[[str], None]) -> AsyncIterator[list[Target]]:
    """Start all of it one after the other, and wait until each serves. Gives the engine first.

    Args:
        folder: for logs; it is there.
        say: told what is being waited for.

    Raises EngineError where something does not start, or a server is not installed.
    """
    async with contextlib.AsyncExitStack() as stack:
        say("the engine is starting")
        document = Document.model_validate({"models": {FOR_NOTHING: _MODEL}})
        model = document.models[FOR_NOTHING]
        engine = await stack.enter_async_context(bare_engine(FOR_NOTHING, model, document, folder))
        say("Redis is starting")
        redis = await stack.enter_async_context(own_redis(folder))
        say("the gateways are starting")
        targets = [Target(DIRECT, engine.url, FOR_NOTHING, pids={"engine": engine.pids})]
        for name, more in gateways(redis.address).items():
            told = {**more, "models": {FOR_NOTHING: [engine.url.removesuffix("/v1")]}}
            gateway = await stack.enter_async_context(started_gateway(name, told, folder))
            pids = {"gateway": gateway.process.pids(), "engine": engine.pids}
            targets.append(Target(name, f"{gateway.url}/v1", FOR_NOTHING, pids=pids))
        yield targets
