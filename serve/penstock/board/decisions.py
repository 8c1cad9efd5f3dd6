"""How many replicas a model should have and why, pinned to the board by Serve's controller for everyone to read.

Written by `scaling.adapter`; read by `penstock status --why` and by the gateways' metrics. Ray's store is in `kv`.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict


class ScalingDecision(BaseModel):
    """The latest decision on one model. Readers ignore keys they do not know: two versions may be about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    replicas: int
    """Replicas that there should be."""
    rule: str
    """What decided: one of a few words, `scaling.explanation.Rule`."""
    text: str
    """Why, in one sentence."""
    since: float
    """When the number became what it is, in seconds since the epoch."""
    updated: float
    """When this was written, in seconds since the epoch. It is renewed every few seconds."""
    least: int
    most: int
    target: int
    """Requests in progress per replica that are aimed at."""
    asked: int = 0
    """Replicas asked for before."""
    ready: int = 0
    """Replicas that take requests."""
    starting: int = 0
    needed: int = 0
    """Replicas that the load of the moment needs, whatever bounds and delays say."""
    running_requests: float = 0.0
    """Requests that engines work on."""
    queued_requests: float = 0.0
    """Requests that engines have accepted and not begun."""
    waiting_requests: float = 0.0
    """Requests that wait in the gateways."""
    missing_reports: int = 0
    """Replicas that take requests and have not reported lately."""
    kv_usage: float = 0.0
    """Mean share of the KV caches in use, 0 to 1."""
    idle_seconds: float = 0.0
    """Time without a request."""
    start_seconds: float | None = None
    """How long a replica took from being asked for to being ready, once one did."""


class Decisions(Protocol):
    """Calls block for a round trip at most; call them off the event loop."""

    def pin(self, decision: ScalingDecision) -> None:
        """Replace what was decided on the model before."""

    def decisions(self) -> list[ScalingDecision]:
        """The latest on each model, in no order. May hold models that are gone, and decisions that nobody renews."""
