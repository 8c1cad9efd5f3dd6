"""The limits of one gateway: its counters opened and closed together. Used by the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock.accounts.errors import StoreError
from penstock.accounts.ledger.report import Question, UsageReport
from penstock.accounts.limits.limiter import Limiter
from penstock.accounts.limits.rules import Period, begins
from penstock.accounts.named import named_text
from penstock.config.limits import LimitSettings
from penstock.config.weights import SecretFrom

if TYPE_CHECKING:
    from penstock.accounts.limits.redis import RedisCounters

LEARN = 20.0
"""Seconds between two looks at the ledger. Longer than it takes to write down what a gateway before left behind."""

Report = Callable[[Question], Awaitable[UsageReport]]

_FORM = "Write redis://:password@host:6379/0, or rediss:// for TLS."


class OpenLimits:
    """Belongs to one event loop. Raises StoreError where the address of Redis cannot be read.

    Args:
        settings: the document's.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._redis = _redis(settings.redis) if settings.redis is not None else None
        self.limiter = Limiter(settings, self._redis)
        self._work: asyncio.Task[None] | None = None

    @property
    def missing(self) -> str:
        """Why requests cannot be let in yet, since the start; empty once they can. Anybody may read it."""
        if self._redis is None or self._redis.was_there or not self.limiter.refuses:
            return ""
        return "The counters of limits (Redis) cannot be reached; the gateway's log says why."

    async def start(self, report: Report | None = None) -> None:
        """Reach for the counters. What fails is tried again in the background.

        Args:
            report: asks the ledger of usage, by which counters in memory learn what was taken of budgets before they
                began, and what other gateways count; None where there is none.
        """
        if self._redis is not None:
            await self._redis.open()
        elif report is not None:
            await self._learn(report)
            self._work = asyncio.get_running_loop().create_task(self._go_on_learning(report), name="limits-learn")

    async def close(self) -> None:
        """Tell what is still to be told, and end all connections."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await self.limiter.close()

    async def _go_on_learning(self, report: Report) -> None:
        while True:
            await asyncio.sleep(LEARN)
            await self._learn(report)

    async def _learn(self, report: Report) -> None:
        now = datetime.now(UTC)
        for period in Period:
            question = Question(by=("key", "team", "model"), since=begins(period, now))
            # The accounts say that their store is gone; until it is back, what is known stays.
            with contextlib.suppress(StoreError):
                self.limiter.learn((await report(question)).rows, period, now)


def _redis(place: SecretFrom) -> RedisCounters:
    # Only now: where there is no Redis, nobody waits for its library.
    from penstock.accounts.limits.redis import RedisCounters  # noqa: PLC0415

    address, where = named_text(place, "accounts.limits.redis", _FORM)
    try:
        return RedisCounters(address)
    except (ValueError, TypeError):
        # Without its cause, which may show the text.
        raise StoreError(f"The address of Redis in {where} cannot be read.", remedy=_FORM) from None
