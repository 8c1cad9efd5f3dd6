"""How many replicas a model should have. A pure function, called by `adapter` within Serve's controller."""

from __future__ import annotations

import math
from typing import NamedTuple


class Load(NamedTuple):
    """What is known of a model's load."""

    in_engines: float
    """Requests that engines run or queue."""
    waiting: float
    """Requests that wait in the gateways for a replica."""


def desired_replicas(load: Load, *, target: int, least: int, most: int) -> int:
    """Replicas at which each has `target` requests in progress; between `least` and `most`, and at least one while
    anything is in progress."""
    wanted = math.ceil((load.in_engines + load.waiting) / target)
    return max(least, min(wanted, most))
