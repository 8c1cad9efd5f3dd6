"""The lowest and the highest of what was seen within a window of time, and how fast it has risen. Immutable; used by
`policy`."""

from __future__ import annotations

from typing import NamedTuple, Self


class _Sample(NamedTuple):
    at: float
    value: float


class Window(NamedTuple):
    """Samples that can still be the extreme, oldest first: each is more extreme than all that came after it."""

    samples: tuple[_Sample, ...] = ()

    def lowest(self, at: float, value: float, seconds: float) -> tuple[float, Self]:
        """The lowest within the last `seconds`, this value included, and the window from now on."""
        return self._extreme(at, value, seconds, sign=1)

    def highest(self, at: float, value: float, seconds: float) -> tuple[float, Self]:
        """The highest likewise."""
        return self._extreme(at, value, seconds, sign=-1)

    def _extreme(self, at: float, value: float, seconds: float, *, sign: int) -> tuple[float, Self]:
        samples = self.samples
        end = len(samples)
        while end and sign * samples[end - 1].value >= sign * value:
            end -= 1
        begin = 0
        while begin < end and samples[begin].at < at - seconds:
            begin += 1
        kept = (*samples[begin:end], _Sample(at, value))
        return kept[0].value, type(self)(kept)


class Course(NamedTuple):
    """A value over a window of time, oldest first."""

    samples: tuple[_Sample, ...] = ()

    def rise(self, at: float, value: float, seconds: float) -> tuple[float, Self]:
        """By how much it rose each second of the last `seconds`, 0 where it fell, and the course from now on.

        What was not seen for the whole window is taken not to have risen before.
        """
        kept = (*(sample for sample in self.samples if sample.at >= at - seconds), _Sample(at, value))
        return max(value - kept[0].value, 0.0) / seconds, type(self)(kept)
