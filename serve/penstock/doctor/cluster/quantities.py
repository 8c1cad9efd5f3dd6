"""Quantities of Kubernetes as numbers and for people. Used by `reading`, `fitting` and the checks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from penstock.config.units import format_bytes

_QUANTITY = re.compile(
    r"([+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?|[+-]?\.[0-9]{1,30})(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,2}))?"
)
_UNITS = {
    None: 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_BYTES = ("memory", "ephemeral-storage")


def parse(quantity: Any) -> float:
    """`500m` → 0.5, `24Gi` → 25769803776. What is no quantity is 0: the cluster has checked them already."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        return 0.0
    return float(match[1]) * _UNITS[match[2]] * 10.0 ** int(match[3] or 0)


def amount(resource: str, number: float) -> str:
    """A number of something, for people: `3.2 CPUs`, `24.0 GiB of memory`, `1 nvidia.com/gpu`."""
    if resource == "cpu":
        return f"{_plain(number)} CPU{'' if _plain(number) == '1' else 's'}"
    if resource in _BYTES:
        return f"{format_bytes(number)} of {resource}"
    return f"{_plain(number)} {resource}"


def suffices(there: float, asked: float) -> bool:
    """Whether there is enough, sums of fractions allowed for."""
    return asked - there <= 1e-9 * max(1.0, asked)


def count(number: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listing(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = [*parts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _plain(number: float) -> str:
    # Rounded down: what is free must not look like more.
    return f"{int(number * 100 + 1e-6) / 100:.10g}"
