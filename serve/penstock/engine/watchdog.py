"""When an engine that serves is stuck. Pure; fed by the watch every few seconds.

Time alone says nothing: a prompt of a million tokens takes minutes, and an idle engine does nothing for days. So the
clocks run only while the engine has requests, and are set back by whatever shows that it gets on.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock.config.units import format_duration
from penstock.engine.vitals import Vitals

LONGEST_GAP = 30.0
"""Of a longer time between two looks (the machine slept, the replica was held up) no more than this counts."""
_BUSY = 0.05
"""Share of one core that counts as work."""


class Look(NamedTuple):
    """What was seen of an engine at one moment. The seconds and lines only ever grow, but for processes that end."""

    at: float
    """Monotonic seconds."""
    vitals: Vitals | None
    """None where its HTTP server did not answer."""
    worker_seconds: float = 0.0
    """Processor time of those of its processes whose time is a sign of work."""
    server_seconds: float = 0.0
    """Processor time of the process that serves HTTP."""
    worker_lines: int = 0
    """Lines that its workers wrote to the log."""


class Watchdog:
    """The clocks of one engine."""

    def __init__(self, stall: float) -> None:
        """
        Args:
            stall: seconds without any sign of life after which an engine with requests is stuck.
        """
        self._stall = stall
        self._last: Look | None = None
        self._done: tuple[float, ...] | None = None
        self._idle_hands = self._fruitless = 0.0
        self._silent = self._mute = 0.0

    def observe(self, look: Look, *, longest_request: float) -> str | None:
        """Why the engine is stuck, in a sentence; None while it is not.

        Args:
            longest_request: seconds that a request may take. An engine that is busy, and in so long produces nothing
                at all for anybody, is stuck too.
        """
        last, self._last = self._last, look
        if last is None:
            self._done = look.vitals.done if look.vitals else None
            return None
        passed = min(max(look.at - last.at, 0.0), LONGEST_GAP)
        if look.vitals is None:
            self._heard_nothing(passed, last, look)
        else:
            self._silent = self._mute = 0.0
            self._heard(passed, last, look, look.vitals)
        return self._verdict(look, longest_request + self._stall)

    def _heard_nothing(self, passed: float, last: Look, look: Look) -> None:
        self._mute += passed
        self._silent = 0.0 if _worked(last.server_seconds, look.server_seconds, passed) else self._silent + passed

    def _heard(self, passed: float, last: Look, look: Look, vitals: Vitals) -> None:
        done, self._done = self._done, vitals.done
        if vitals.done is None or vitals.done != done:
            self._idle_hands = self._fruitless = 0.0
        elif vitals.requests and last.vitals is not None and last.vitals.requests:
            # Only time with requests at both ends counts. Requests that are given up leave the clocks as they are: an
            # engine that hangs must not look well because its clients are impatient.
            self._fruitless += passed
            worked = _worked(last.worker_seconds, look.worker_seconds, passed)
            self._idle_hands = 0.0 if worked or look.worker_lines > last.worker_lines else self._idle_hands + passed

    def _verdict(self, look: Look, endless: float) -> str | None:
        requests = look.vitals.requests if look.vitals else 0
        had = f"{requests} request" + ("" if requests == 1 else "s")
        if self._idle_hands > self._stall:
            return f"The engine had {had} and made no progress for {_rounded(self._idle_hands)}."
        if self._fruitless > endless:
            return (
                f"The engine was busy with {had} for {_rounded(self._fruitless)} without a token or a finished request."
            )
        if self._silent > self._stall or self._mute > endless:
            return f"The engine's HTTP server answered nothing for {_rounded(self._mute)}, though its process lived."
        return None


def _worked(before: float, after: float, passed: float) -> bool:
    return passed > 0 and (after - before) / passed >= _BUSY


def _rounded(seconds: float) -> str:
    return format_duration(round(seconds))
