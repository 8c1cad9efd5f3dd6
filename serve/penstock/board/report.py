"""What a replica says of itself: its phases with times, its address's public facts, why it failed.

Written by engine replicas while they are still starting, read by the gateway and `penstock status`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Phase(StrEnum):
    """Where a replica is on its way, in this order; `draining` and `failed` end it."""

    QUEUED = "queued"
    BACKING_OFF = "backing off"
    """It waits before it starts, because the starts before it failed."""
    FETCHING = "fetching"
    STARTING = "starting"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class PhaseMark(BaseModel):
    """A phase and when it began, in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Phase
    at: float


class Failure(BaseModel):
    """Why an engine did not start or stopped."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cause: str
    """One sentence: what went wrong."""
    remedy: str | None = None
    """What to do about it, where the cause was recognised."""
    log_tail: list[str] = Field(default_factory=list)
    """The last lines of the engine's log."""


class ReplicaReport(BaseModel):
    """The latest word of one replica. Readers ignore keys they do not know: replicas of two versions may write."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    replica: str
    """Ray Serve's id of the replica, unique for ever."""
    node: str = ""
    pid: int = 0
    """Process of the replica."""
    engine_pids: list[int] = Field(default_factory=list)
    """Processes of its engine."""
    phases: list[PhaseMark] = Field(default_factory=list)
    """All phases so far, oldest first."""
    detail: str = ""
    """What it is doing within the phase: `1.2 of 4.0 GiB`."""
    failure: Failure | None = None
    max_model_len: int | None = None
    """Context length in tokens, known once the engine is ready."""
    endpoints: list[str] = Field(default_factory=list)
    """Paths of the API that the engine offers, known once it is ready: `/v1/chat/completions`."""
    spec: str = ""
    """Digest of what it was told to run: failures of an earlier document say nothing of a new one."""
    follows: str = ""
    """The replica that failed before it, in whose place it starts; empty where none did."""
    failures_before: int = 0
    """How many replicas failed in a row before it."""
    updated: float = 0.0
    """When this was written, in seconds since the epoch on the writer's clock."""

    @property
    def phase(self) -> Phase:
        return self.phases[-1].phase if self.phases else Phase.QUEUED

    @property
    def since(self) -> float:
        """When the phase began; 0 before the first."""
        return self.phases[-1].at if self.phases else 0.0

    @property
    def start_seconds(self) -> float | None:
        """How long its start took, without the time that it waited because others had failed; None before it is
        ready."""
        began = next((mark.at for mark in self.phases if mark.phase is not Phase.BACKING_OFF), None)
        ready = next((mark.at for mark in self.phases if mark.phase is Phase.READY), None)
        return None if began is None or ready is None else max(ready - began, 0.0)
