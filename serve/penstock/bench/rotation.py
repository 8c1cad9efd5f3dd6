"""In which order the targets take their turns. Pure; used by `runner`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def turns(targets: Sequence[T], number: int) -> list[T]:
    """The order of round `number` (0, 1, ...): rotated each round, and backwards in every other cycle of rotations.

    Over 2 n rounds of n targets each has every place twice, and each comes before each other equally often, so that a
    machine that grows slower during a round or a run wrongs none. Two targets: A B, B A, B A, A B.
    """
    if not targets:
        return []
    cycle, shift = divmod(number, len(targets))
    order = [*targets[shift:], *targets[:shift]]
    return order[::-1] if cycle % 2 else order
