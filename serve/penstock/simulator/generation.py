"""One request's way through the engine: wait for a place, wait for each token, count what happened.

`Engine.sequence()` is entered by every route that answers with tokens; leaving it early (the client hung up, the server
stops) frees the place at once and counts as an abort, as in vLLM. One that is stopped by its id counts as one too, but
is answered: with what there is by then.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

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
        self._sequences: dict[bytes, set[Sequence]] = {}

    def abort(self, request_id: bytes) -> None:
        """Stop the requests of this id, wherever they are. Where there is none, nothing happens."""
        for sequence in self._sequences.get(request_id, ()):
            sequence.abort()

    @asynccontextmanager
    async def sequence(
        self, prompt_tokens: int, *, choices: int = 1, request_id: bytes = b""
    ) -> AsyncIterator[Sequence]:
        """A place to generate in; waits its turn behind the requests that came before. Choices are made side by side,
        so a token's time gives one token to each. One that is stopped while it waits has no place, and makes nothing.
        """
        loop = asyncio.get_running_loop()
        sequence = Sequence(self, loop.time(), prompt_tokens, choices)
        known = self._sequences.setdefault(request_id, set())
        known.add(sequence)
        try:
            has_place = await self._take_place(sequence)
            try:
                yield sequence
            finally:
                if has_place:
                    self.metrics.running -= 1
                    self._places.release()
                self.metrics.finished[sequence.finish_reason] += 1
                self.metrics.whole_request.observe(loop.time() - sequence.arrived)
        finally:
            known.discard(sequence)
            if not known:
                self._sequences.pop(request_id, None)

    async def _take_place(self, sequence: Sequence) -> bool:
        self.metrics.waiting += 1
        try:
            if self._places.locked():
                sequence.turn = asyncio.ensure_future(self._places.acquire())
                await sequence.turn
            else:
                await self._places.acquire()
        except asyncio.CancelledError:
            if sequence.aborted:
                return False
            raise
        finally:
            self.metrics.waiting -= 1
        self.metrics.running += 1
        sequence.begin()
        return True


class Sequence:
    """A request that is being answered. Tells when its tokens are due, and takes note of how it ends."""

    __slots__ = (
        "_alarm", "_choices", "_engine", "_interval", "_prompt_tokens", "_start", "aborted", "arrived", "done",
        "finish_reason", "turn",
    )  # fmt: skip

    def __init__(self, engine: Engine, arrived: float, prompt_tokens: int, choices: int) -> None:
        options = engine.options
        self._engine = engine
        self.arrived = arrived
        self._prompt_tokens = prompt_tokens
        self._choices = choices
        self._start = arrived
        self._interval = 1 / options.tokens_per_second if options.tokens_per_second else 0.0
        self._alarm: asyncio.Future[None] | None = None
        self.turn: asyncio.Future[Any] | None = None
        """What it waits for while it has no place."""
        self.aborted = False
        """Whether it was stopped: then no more tokens come."""
        self.done = 0
        """Tokens that were due so far."""
        self.finish_reason = "abort"
        """How it ended, for the metrics; stays an abort unless the route finishes."""

    def begin(self) -> None:
        """It has a place."""
        self._start = asyncio.get_running_loop().time() + self._engine.options.time_to_first_token

    def abort(self) -> None:
        """Stop it."""
        self.aborted = True
        if self.turn is not None and not self.turn.done():
            self.turn.cancel()
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    async def due(self, limit: int) -> int:
        """Wait for the next token; returns how many are due by now, of `limit` ones that are still to come. None once
        it was stopped.

        More than one only where the machine is behind the pace, so that it catches up. As fast as possible means one
        at a time with a turn for everybody else in between, so that a stream has as many chunks as tokens.
        """
        loop = asyncio.get_running_loop()
        if not await self._reaches(self._start + self.done * self._interval):
            return 0
        if self.done == 0:
            self._engine.metrics.first_token.observe(loop.time() - self.arrived)
        count = 1
        if self._interval:
            count = max(count, min(limit, int((loop.time() - self._start) / self._interval) + 1 - self.done))
        return self._count(count)

    async def all(self, count: int) -> None:
        """Wait until `count` tokens are through, without looking at each, or until it is stopped. Without tokens
        (embeddings), until the time of the first."""
        if count and not await self.due(1):
            return
        if await self._reaches(self._start + max(count - 1, 0) * self._interval):
            self._count(count - self.done)
        elif self.done and self._interval:
            made = int((asyncio.get_running_loop().time() - self._start) / self._interval) + 1
            self._count(max(0, min(made, count) - self.done))

    async def _reaches(self, moment: float) -> bool:
        loop = asyncio.get_running_loop()
        if not self.aborted:
            if moment <= loop.time():
                await asyncio.sleep(0)
            else:
                self._alarm = self._engine.pace.alarm(moment)
                await self._alarm
        return not self.aborted

    def finish(self, reason: str) -> None:
        """Note a good end. Tool calls count as a stop, as in vLLM. One that was stopped stays an abort."""
        if self.aborted:
            return
        self.finish_reason = "length" if reason == "length" else "stop"

    def _count(self, count: int) -> int:
        # As in vLLM, a prompt counts with the first that comes of it.
        self._engine.metrics.prompt_tokens += self._prompt_tokens
        self._prompt_tokens = 0
        self.done += count
        self._engine.metrics.generation_tokens += count * self._choices
        return count
