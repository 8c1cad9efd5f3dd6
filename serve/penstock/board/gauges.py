"""Names under which an engine replica tells Ray Serve of its load, for those who write and who read them."""

from __future__ import annotations

from enum import StrEnum


class Gauge(StrEnum):
    """What `record_autoscaling_stats` reports; all are numbers."""

    RUNNING = "running"
    """Requests that the engine works on."""
    QUEUED = "queued"
    """Requests that it has accepted and not begun."""
    KV_USAGE = "kv_usage"
    """Share of its KV cache in use, 0 to 1."""
    REQUEST_SECONDS = "request_seconds"
    """Mean time of its requests since it started; absent before the first ended."""
    START_SECONDS = "start_seconds"
    """How long it took to become ready."""
