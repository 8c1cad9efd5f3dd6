"""How figures are written, the same in the table, the Markdown and the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping

from penstock.bench.statistics import Estimate

NOTHING = "–"
"""Where there is no figure."""


def number(value: float) -> str:
    """Three digits that mean something: 1234 → `1,234`, 12.345 → `12.3`."""
    if math.isnan(value):
        return NOTHING
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def milliseconds(seconds: float) -> str:
    """Milliseconds without the unit: 0.0123 → `12.3`."""
    return number(seconds * 1000)


def added(value: Estimate) -> str:
    """Milliseconds more or less than the baseline, with the interval: `+1.20 [+0.80, +1.71]`."""
    if math.isnan(value.median):
        return NOTHING
    low, high, _ = value.interval
    return f"{_signed(value.median)} [{_signed(low)}, {_signed(high)}]"


def share(value: Estimate) -> str:
    """A share of the baseline with the interval: `0.95 [0.93, 0.98]`."""
    if math.isnan(value.median):
        return NOTHING
    low, high, _ = value.interval
    return f"{value.median:.2f} [{low:.2f}, {high:.2f}]"


def error_counts(errors: Mapping[str, int]) -> str:
    """`0`, or the kinds with their counts: `3 HTTP 503, 1 timeout`."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(errors.items())) or "0"


def _signed(seconds: float) -> str:
    return f"{seconds * 1000:+.2f}"
