"""One request's way through the engine: wait for a place, wait for each token, count what happened.

`Engine.sequence()` is entered by every route that answers with tokens; leaving it early (the client hung up, the server
stops) frees the place at once and counts as an abort, as in vLLM.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from penstock.config.simulator import SimulatorOptions
from penstock.simulator.metrics import Metrics
from penstock.simulator.pace import Pace


class Engine:
    """What all routes of one simulator share. `names` are the served ones, the first is the one shown."""

    def __init__(self, names: list[str], root: str, options: SimulatorOptions) -> None:
        self.names = names
        self.root = root
        self.options = options
        self.metrics = Metrics(names[0], max_num_seqs=options.max_num_seqs)
        self.pace = Pace()
        self.numbers = itertools.count()
        """Tells requests without a seed apart."""
        self._places = asyncio.Semaphore(options.max_num_seqs)

    @asynccontextmanager
    async def sequence(self, prompt_tokens: int, *, choices: int = 1) -> AsyncIterator[Sequence]:
        """A place to generate in; waits its turn behind the requests that came before. Choices are made side by side,
        so a token's time gives one token to each."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        await self._take_place()
        self.metrics.prompt_tokens += prompt_tokens
        sequence = Sequence(self, arrived, loop.time(), choices)
        try:
            yield sequence
        finally:
            self.metrics.running -= 1
            self._places.release()
            self.metrics.finished[sequence.finish_reason] += 1
            self.metrics.whole_request.observe(loop.time() - arrived)

    async def _take_place(self) -> None:
        self.metrics.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.metrics.waiting -= 1
        self.metrics.running += 1


class Sequence:
    """A request that is being answered. Tells when its tokens are due, and takes note of how it ends."""

    __slots__ = ("_arrived", "_choices", "_engine", "_interval", "_start", "done", "finish_reason")

    def __init__(self, engine: Engine, arrived: float, start: float, choices: int) -> None:
        options = engine.options
        self._engine = engine
        self._arrived = arrived
        self._choices = choices
        self._start = start + options.time_to_first_token
        self._interval = 1 / options.tokens_per_second if options.tokens_per_second else 0.0
        self.done = 0
        """Tokens that were due so far."""
        self.finish_reason = "abort"
        """How it ended, for the metrics; stays an abort unless the route finishes."""

    async def due(self, limit: int) -> int:
        """Wait for the next token; returns how many are due by now, of `limit` ones that are still to come.

        More than one only where the machine is behind the pace, so that it catches up. As fast as possible means one
        at a time with a turn for everybody else in between, so that a stream has as many chunks as tokens.
        """
        loop = asyncio.get_running_loop()
        await self._engine.pace.until(self._start + self.done * self._interval)
        if self.done == 0:
            self._engine.metrics.first_token.observe(loop.time() - self._arrived)
        count = 1
        if self._interval:
            count = max(count, min(limit, int((loop.time() - self._start) / self._interval) + 1 - self.done))
        return self._count(count)

    async def all(self, count: int) -> None:
        """Wait until `count` tokens are through, without looking at each. Without tokens (embeddings), until the time
        of the first."""
        if count:
            await self.due(1)
        await self._engine.pace.until(self._start + max(count - 1, 0) * self._interval)
        self._count(count - self.done)

    def finish(self, reason: str) -> None:
        """Note a good end. Tool calls count as a stop, as in vLLM."""
        self.finish_reason = "length" if reason == "length" else "stop"

    def _count(self, count: int) -> int:
        self.done += count
        self._engine.metrics.generation_tokens += count * self._choices
        return count
