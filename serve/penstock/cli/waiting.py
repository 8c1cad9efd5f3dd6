"""Waiting for what was put on Ray to be ready, with a live picture on a terminal and lines elsewhere.

Used by `up` and `apply`.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from penstock.assembly.status import ReplicaStatus, Status
from penstock.cli import picture
from penstock.errors import EngineError

LOOK = 0.5
"""Seconds between two looks at what is running."""


class Stop:
    """Whether a signal asked to stop; a second one asks to hurry."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.twice = False

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """True as soon as a stop is asked for, False after so many seconds."""
        return self._event.wait(seconds)

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within it, SIGINT and SIGTERM ask to stop."""
        before = self.listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self) -> dict[signal.Signals, Any]:
        """Take the signals, also back from a library that took them meanwhile; who had them before."""
        return {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.twice = self.asked
        self._event.set()


def until_settled(
    look: Callable[[], Status], stop: Stop, console: Console, events: picture.Events, *, limit: float = float("inf")
) -> Status | None:
    """What is running once nothing is on its way any more; None when a stop was asked for.

    Raises:
        EngineError: it took longer than `limit` seconds.
    """
    began = time.monotonic()
    with _live(console) as live:
        while not stop.asked:
            status = look()
            elapsed = time.monotonic() - began
            if live is None:
                print_events(console, events, status)
            else:
                events.since_last(status)
                live.update(picture.starting(status, elapsed=elapsed, now=time.time()))
            if status.settled and (status.ready or status.failed):
                return status
            if elapsed > limit:
                raise EngineError(
                    f"Not everything was ready after {picture.clock(limit)}.",
                    remedy="penstock status says what is missing.",
                )
            stop.wait(LOOK)
    return None


def failures(status: Status) -> str:
    """Why what failed failed, with the ends of the logs."""
    told = [f"gateway: {status.gateway.message}"] if "gateway" in status.failed else []
    told += [
        f"{model.name}: {model.message}{_log_of([*model.failures, *model.replicas])}"
        for model in status.models
        if model.name in status.failed
    ]
    return "\n".join(told)


def print_events(console: Console, events: picture.Events, status: Status) -> None:
    """What changed since the last call, a line each."""
    for line in events.since_last(status):
        console.print(f"{picture.stamp()} {line}", highlight=False, markup=False, soft_wrap=True)


def _log_of(replicas: list[ReplicaStatus]) -> str:
    failed = [replica.failure for replica in replicas if replica.failure is not None]
    return "".join(f"\n  | {line}" for line in failed[-1].log_tail) if failed else ""


@contextlib.contextmanager
def _live(console: Console) -> Iterator[Live | None]:
    """A live display on a terminal, None elsewhere."""
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, transient=True, refresh_per_second=8) as live:
        live.update(picture.starting(None, elapsed=0, now=time.time()))
        yield live
