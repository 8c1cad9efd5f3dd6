"""Sends answers as server-sent events at the engine's pace, and stops the work when the client hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from penstock.simulator.asgi import Exchange
from penstock.simulator.generation import Engine

DONE = b"data: [DONE]\n\n"


async def stream_tokens(
    exchange: Exchange,
    engine: Engine,
    *,
    prompt_tokens: int,
    steps: int,
    reason: str,
    opening: bytes,
    event: Callable[[int], bytes],
    closing: Callable[[], bytes],
    choices: int = 1,
) -> None:
    """Send `opening` when the first token is due, `event(i)` when token `i` of `steps` is, and `closing()` at the end.

    `event` gives whole events in bytes; `reason` is what the metrics are told at the end.
    """
    # The head goes out before there is a place, as vLLM's does.
    await exchange.start_events()
    async with engine.sequence(prompt_tokens, choices=choices) as sequence:
        first = 0
        while first < steps:
            count = await sequence.due(steps - first)
            data = event(first) if count == 1 else b"".join(map(event, range(first, first + count)))
            await exchange.events(opening + data if first == 0 else data)
            first += count
        sequence.finish(reason)
    await exchange.end_events(closing())


async def unless_gone(exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
    """Do the work of answering; give it up when the client hangs up. The body must have been read."""
    task = asyncio.current_task()
    assert task is not None, "answers are given inside a task"
    watcher = asyncio.create_task(exchange.gone())
    watcher.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
    try:
        await work
    except asyncio.CancelledError:
        if not watcher.done() or watcher.cancelled():
            raise
        task.uncancel()
    finally:
        watcher.cancel()


def sse(data: bytes, *, event: str | None = None) -> bytes:
    """One server-sent event."""
    return (b"event: %s\ndata: %s\n\n" % (event.encode(), data)) if event else b"data: %s\n\n" % data
