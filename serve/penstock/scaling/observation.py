"""What the scaling decision is made from: what was seen of a model, and what its owner wants.

Made by `adapter` from what Ray Serve knows, and by the replay simulation; read by `policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Report(NamedTuple):
    """What one replica's engine said last."""

    running: float
    """Requests that it generates."""
    queued: float
    """Requests that it has accepted and not begun."""
    kv_usage: float = 0.0
    """Share of its KV cache in use, 0 to 1."""
    request_seconds: float | None = None
    """Mean time of its requests, once there were some."""
    age: float = 0.0
    """Seconds since it was received."""


class Observation(NamedTuple):
    """What is known of a model at one moment."""

    now: float
    """Seconds of a clock that does not jump. One that does costs time, never replicas."""
    asked: int
    """Replicas asked for so far: those that run, and those on their way."""
    running: frozenset[str]
    """Replicas that take requests."""
    reports: Mapping[str, Report]
    """By replica. Those of replicas that do not run are ignored; a replica that runs may have none."""
    waiting: float
    """Requests that wait in all gateways together."""
    start_seconds: float | None = None
    """How long a replica takes from being asked for to being ready, once that was measured."""


class Settings(NamedTuple):
    """Bounds and aims; times in seconds. Defaults as in the document."""

    least: int = 1
    most: int = 1
    target: int = 16
    """Requests in progress per replica."""
    upscale_delay: float = 10.0
    downscale_delay: float = 300.0
    downscale_to_zero_delay: float = 600.0
    kv_threshold: float = 0.9
    """Share of the KV cache in use at which requests that queue in engines are a sign of too few replicas."""
