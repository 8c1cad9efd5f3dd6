"""One timer for all streams: whoever waits for a moment is woken together with the others of the same tick.

A sleep per token and stream would be a timer in the event loop each; a thousand streams at fifty tokens a second are
fifty thousand of them. Here they are at most one a tick. Used by `generation`.
"""

from __future__ import annotations

import asyncio
import math

TICK = 0.002
"""Seconds. Finer than anybody sees, coarse enough for many streams to share a wake-up."""


class Pace:
    """Wakes tasks at given moments of the event loop's clock, never early, at most a tick late."""

    def __init__(self, tick: float = TICK) -> None:
        self._tick = tick
        self._sleepers: dict[int, list[asyncio.Future[None]]] = {}

    async def until(self, moment: float) -> None:
        """Return at `moment` (of `loop.time()`), or at the next turn of the loop if it is past."""
        loop = asyncio.get_running_loop()
        if moment <= loop.time():
            await asyncio.sleep(0)
            return
        await self.alarm(moment)

    def alarm(self, moment: float) -> asyncio.Future[None]:
        """A future that is done at `moment`, which is to come. Whoever has it may end it before."""
        loop = asyncio.get_running_loop()
        number = math.ceil(moment / self._tick)
        sleepers = self._sleepers.get(number)
        if sleepers is None:
            sleepers = self._sleepers[number] = []
            loop.call_at(number * self._tick, self._wake, number)
        future = loop.create_future()
        sleepers.append(future)
        return future

    def _wake(self, number: int) -> None:
        for future in self._sleepers.pop(number):
            # A task that was cancelled has cancelled its future.
            if not future.done():
                future.set_result(None)
