"""What an engine says about itself: health, load, metrics, version, models, routes."""

from __future__ import annotations

import time
from typing import Any

import penstock
from penstock.simulator.asgi import Exchange
from penstock.simulator.generation import Engine
from penstock.simulator.metrics import CONTENT_TYPE
from penstock.simulator.naming import new_id


async def health(_: Engine, exchange: Exchange) -> None:
    """200 and nothing else; there is nothing to ask before the engine is ready."""
    await exchange.whole(b"")


async def load(engine: Engine, exchange: Exchange) -> None:
    """Requests in progress."""
    await exchange.json({"server_load": engine.metrics.load})


async def metrics(engine: Engine, exchange: Exchange) -> None:
    """Prometheus' text."""
    await exchange.whole(engine.metrics.render(), headers=[(b"content-type", CONTENT_TYPE)])


async def version(_: Engine, exchange: Exchange) -> None:
    """The simulator's version, told apart from vLLM's by its name."""
    await exchange.json({"version": f"{penstock.__version__}+simulator"})


async def models(engine: Engine, exchange: Exchange) -> None:
    """The served names."""
    await exchange.json({"object": "list", "data": [_card(engine, name) for name in engine.names]})


def _card(engine: Engine, name: str) -> dict[str, Any]:
    now = int(time.time())
    permission = {
        "id": new_id("modelperm"),
        "object": "model_permission",
        "created": now,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": now,
        "owned_by": "penstock",
        "root": engine.root,
        "parent": None,
        "max_model_len": engine.options.max_model_len,
        "permission": [permission],
    }
