"""One slot: a closed loop of streams against one target. Used by `runner`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

from penstock.bench.client import Sent, Stream
from penstock.bench.cpu import CpuMeter
from penstock.bench.plan import Plan, Target

CLIENT = "client"
"""The role of this process among the CPU seconds: whether the client itself was the bottleneck."""


@dataclass(frozen=True)
class Slot:
    """What one slot measured."""

    target: str
    concurrency: int
    round: int
    seconds: float
    """From the first request's start to the last one's end."""
    tokens: int
    """Output tokens of whole answers and of those that broke off."""
    first_token: list[float]
    """Seconds to the first text, of whole answers."""
    gaps: list[float]
    """Seconds between events with text, of whole answers."""
    errors: dict[str, int]
    """Failed requests by kind."""
    requests: int
    cpu: dict[str, float]
    """CPU seconds by role; `client` is this process."""

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


async def run_slot(target: Target, plan: Plan, concurrency: int, number: int) -> Slot:
    """Sends the slot's requests and waits for all of them. Cancelling it closes its connections."""
    meter = CpuMeter(target.pids)
    own = time.process_time()
    sent = await _closed_loop(target, plan, concurrency)
    own = time.process_time() - own
    whole = [request for request in sent if request.error is None]
    return Slot(
        target=target.name,
        concurrency=concurrency,
        round=number,
        seconds=max(request.end for request in sent) - min(request.start for request in sent),
        tokens=sum(request.tokens for request in sent),
        first_token=[request.first - request.start for request in whole if request.first is not None],
        gaps=[gap for request in whole for gap in request.gaps],
        errors=dict(Counter(request.error for request in sent if request.error is not None)),
        requests=len(sent),
        cpu={**meter.elapsed(), CLIENT: own},
    )


async def _closed_loop(target: Target, plan: Plan, concurrency: int) -> list[Sent]:
    left = plan.requests_of_slot(concurrency)
    sent: list[Sent] = []

    async def stream() -> None:
        nonlocal left
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(Stream(target, plan))
            while left > 0:
                left -= 1
                sent.append(await connection.send())

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(stream())
    return sent
