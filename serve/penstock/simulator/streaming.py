"""Sends answers as server-sent events at the engine's pace, and stops the work when the client hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson

from penstock.simulator.answers import Decision
from penstock.simulator.asgi import Exchange
from penstock.simulator.generation import Engine
from penstock.simulator.naming import FINGERPRINT, usage

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
    closing: Callable[[int], bytes],
    choices: int = 1,
) -> None:
    """Send `opening` when the first token is due, `event(i)` when token `i` of `steps` is, and at the end `closing(n)`,
    where `n` is `steps`, or less where the stream was stopped.

    `event` gives whole events in bytes; `reason` is what the metrics are told at the end.
    """
    # The head goes out before there is a place, as vLLM's does.
    await exchange.start_events()
    async with engine.sequence(prompt_tokens, choices=choices, request_id=exchange.request_id) as sequence:
        first = 0
        while first < steps:
            if not (count := await sequence.due(steps - first)):
                break
            data = event(first) if count == 1 else b"".join(map(event, range(first, first + count)))
            await exchange.events(opening + data if first == 0 else data)
            first += count
        sequence.finish(reason)
    await exchange.end_events(opening + closing(0) if not first else closing(first))


async def stream_choices(
    exchange: Exchange,
    engine: Engine,
    decision: Decision,
    identity: dict[str, Any],
    *,
    opening: bytes,
    events: Sequence[Callable[[int], bytes]],
    aborted: Callable[[int], bytes],
    include_usage: bool,
) -> None:
    """Stream the answers of a decision as OpenAI's chunks do: an event of each choice at every step, then perhaps the
    usage, then the end.

    `identity` is what all chunks have in common; `events` makes the chunk of a step, for each choice; `aborted` the
    last one of a choice that was stopped.
    """

    def closing(done: int) -> bytes:
        made = decision.stopped(done)
        cut = [number for number, answer in enumerate(made.answers) if answer.finish_reason == "abort"]
        end = b"".join(map(aborted, cut)) if done < decision.steps else b""
        if not include_usage:
            return end + DONE
        last = {
            **identity,
            "choices": [],
            "usage": usage(made.prompt_tokens, made.tokens),
            "system_fingerprint": FINGERPRINT,
        }
        return end + sse(orjson.dumps(last)) + DONE

    await stream_tokens(
        exchange,
        engine,
        prompt_tokens=decision.prompt_tokens,
        steps=decision.steps,
        reason=decision.answers[0].finish_reason,
        opening=opening,
        event=events[0] if len(events) == 1 else lambda step: b"".join(event(step) for event in events),
        closing=closing,
        choices=len(decision.answers),
    )


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
