"""Fetches the weights on a thread, says how far it is, and can be cancelled. Used by the replica while it starts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from penstock.config import Source, Weights
from penstock.config.units import format_bytes
from penstock.engine.weights import Progress


class HeldWeights(Protocol):
    """Weights in place, safe from eviction until released."""

    @property
    def path(self) -> Path: ...

    def release(self) -> None: ...


class Fetch(Protocol):
    """`penstock.engine.weights.fetch`, or a stand-in for faults."""

    def __call__(
        self,
        source: Source,
        settings: Weights,
        *,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
    ) -> HeldWeights: ...


async def fetched(fetch: Fetch, source: Source, settings: Weights, say: Callable[[str], None]) -> HeldWeights:
    """The weights, held.

    Args:
        say: called on the event loop, about once a second, with how far it is.

    Raises:
        WeightsError: they cannot be had.
    """
    cancelled = threading.Event()
    report = _throttled(asyncio.get_running_loop(), lambda progress: say(_progress_text(progress)))
    fetching = asyncio.create_task(
        asyncio.to_thread(fetch, source, settings, report=report, cancelled=cancelled.is_set)
    )
    try:
        return await asyncio.shield(fetching)
    except asyncio.CancelledError:
        # The thread cannot be interrupted; it looks at the flag, and what it fetched so far stays for the next one.
        cancelled.set()
        (held,) = await asyncio.gather(fetching, return_exceptions=True)
        if not isinstance(held, BaseException):
            held.release()
        raise


def _progress_text(progress: Progress) -> str:
    done = format_bytes(progress.done)
    return f"{done} of {format_bytes(progress.total)}" if progress.total else done


def _throttled(
    loop: asyncio.AbstractEventLoop, call: Callable[[Progress], None], *, every: float = 1.0
) -> Callable[[Progress], None]:
    """`call` on the loop, from any thread, at most once per `every` seconds."""
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= every:
            last = now
            with contextlib.suppress(RuntimeError):  # the loop is closing
                loop.call_soon_threadsafe(call, progress)

    return report
