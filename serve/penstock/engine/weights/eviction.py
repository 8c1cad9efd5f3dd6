"""Which weights leave the cache so that new ones fit under its limit. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Stored(NamedTuple):
    """Something in the cache: a whole entry, or what a download has left or will need. `size` in bytes, `used` in
    seconds since the epoch."""

    name: str
    size: int
    used: float
    in_use: bool


def plan_eviction(stored: Sequence[Stored], needed: int, limit: int | None) -> list[Stored] | None:
    """What to remove, least recently used first, so that `needed` more bytes stay within `limit`.

    Nothing in use is removed, nor more than it takes. None where it cannot be made to fit.
    """
    if limit is None:
        return []
    excess = sum(item.size for item in stored) + needed - limit
    evicted = []
    for item in sorted(stored, key=lambda item: (item.used, item.name)):
        if excess <= 0:
            break
        if not item.in_use:
            evicted.append(item)
            excess -= item.size
    return evicted if excess <= 0 else None
