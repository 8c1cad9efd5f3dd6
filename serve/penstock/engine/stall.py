"""Whether a starting engine still gets on. A fixed limit is wrong both ways: too long for a hang, too short for 70B."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import psutil

_BUSY = 0.05
"""Share of one core that counts as work; a waiting engine uses less."""
_READ = 2**20
"""Bytes read from disk that count as work."""


class Sample(NamedTuple):
    """What an engine has done so far, all growing numbers."""

    at: float
    """Monotonic seconds."""
    log_bytes: int
    cpu_seconds: float
    read_bytes: int


class StallClock:
    """Time without progress: no line of log, next to no processor time, nothing read."""

    def __init__(self, first: Sample) -> None:
        self._last = first
        self._progress_at = first.at

    def observe(self, sample: Sample) -> float:
        """Seconds since the last progress."""
        elapsed = max(sample.at - self._last.at, 1e-9)
        if (
            sample.log_bytes > self._last.log_bytes
            or (sample.cpu_seconds - self._last.cpu_seconds) / elapsed >= _BUSY
            or sample.read_bytes - self._last.read_bytes >= _READ
        ):
            self._progress_at = sample.at
        self._last = sample
        return sample.at - self._progress_at


def take_sample(pids: list[int], *, at: float, log_bytes: int) -> Sample:
    """What the processes used so far. Processes that ended no longer count, which is never progress."""
    cpu, read = 0.0, 0
    for pid in pids:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            times = process.cpu_times()
            cpu += times.user + times.system
            read += process.io_counters().read_bytes
    return Sample(at, log_bytes, cpu, read)
