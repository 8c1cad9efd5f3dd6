"""Whether a provider is asked at all. Pure but for its own memory; used by `asking`, one breaker a provider.

It opens after so many failures in a row, or where a large share of the last requests failed. After a pause it lets one
request through, and what becomes of that one decides for all.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

from penstock.config.providers import Breaker as Settings

MOST_REMEMBERED: Final = 1000
"""Requests that the share is taken of at most: the last ones."""


class State(Enum):
    """What it does with the next request."""

    CLOSED = "closed"
    """It goes through."""
    OPEN = "open"
    """It is refused."""
    HALF_OPEN = "half-open"
    """One is on its way to see, or would be; the others are refused."""


class Pass:
    """The permission to ask once, given back with `done`."""

    __slots__ = ("is_trial",)

    def __init__(self, *, is_trial: bool) -> None:
        self.is_trial = is_trial


class Breaker:
    """Times are seconds of any one clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._in_a_row = 0
        self._last: deque[tuple[float, bool]] = deque(maxlen=MOST_REMEMBERED)
        self._open_until: float | None = None
        self._trial: Pass | None = None

    def state(self, now: float) -> State:
        """What it does with the next request."""
        if self._open_until is None:
            return State.CLOSED
        return State.OPEN if now < self._open_until else State.HALF_OPEN

    def wait(self, now: float) -> float:
        """Seconds until it lets a request through, as far as is known; 0 where it does now."""
        return max(0.0, (self._open_until or now) - now)

    def enter(self, now: float) -> Pass | None:
        """The permission to ask; None where there is none."""
        state = self.state(now)
        if state is State.CLOSED:
            return Pass(is_trial=False)
        if state is State.OPEN or self._trial is not None:
            return None
        self._trial = Pass(is_trial=True)
        return self._trial

    def done(self, permission: Pass, *, failed: bool | None, now: float) -> None:
        """What came of it; None where that says nothing of the provider, as when the client left."""
        if permission.is_trial:
            if permission is not self._trial:
                return
            self._trial = None
            if failed is None:
                return  # the next one is the trial
            self._close()
            if failed:
                self._open(now)
            return
        # An old request's end says nothing of a provider that has been left alone since.
        if failed is None or self._open_until is not None:
            return
        self._in_a_row = self._in_a_row + 1 if failed else 0
        self._last.append((now, failed))
        if failed and (self._in_a_row >= self._settings.failures or self._share_is_reached(now)):
            self._open(now)

    def _share_is_reached(self, now: float) -> bool:
        while self._last and self._last[0][0] < now - self._settings.window:
            self._last.popleft()
        failures = sum(failed for _, failed in self._last)
        return len(self._last) >= self._settings.least and failures >= self._settings.share * len(self._last)

    def _open(self, now: float) -> None:
        self._open_until = now + self._settings.pause

    def _close(self) -> None:
        self._open_until = None
        self._in_a_row = 0
        self._last.clear()
