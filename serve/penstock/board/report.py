"""What a replica says of itself: its phases with times, its address's public facts, why it failed.

Written by engine replicas while they are still starting, read by the gateway and `penstock status`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

LONGEST_START = 6 * 3600.0
"""Seconds. What claims to have taken longer, or less than nothing, is a clock that was set in between."""


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


_AT_WORK = (Phase.FETCHING, Phase.STARTING, Phase.LOADING, Phase.WARMING)
"""Phases of a start. Time that a replica spends before the first of them, waiting, says nothing of the next start."""


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
    def phase_seconds(self) -> tuple[tuple[Phase, float], ...]:
        """Its phases and the seconds that each took; of the last, until it last reported. 0 where its clock jumped."""
        ends = [*(mark.at for mark in self.phases[1:]), self.updated]
        return tuple((mark.phase, max(end - mark.at, 0.0)) for mark, end in zip(self.phases, ends, strict=False))

    @property
    def start_seconds(self) -> float | None:
        """From the beginning of its start to ready; None where it never was, or its clock jumped."""
        return self._since_began(next((mark.at for mark in self.phases if mark.phase is Phase.READY), None))

    @property
    def starting_seconds(self) -> float | None:
        """For how long it has been starting when it last reported; None where it is not starting, or its clock
        jumped."""
        ended = any(mark.phase in (Phase.READY, Phase.DRAINING, Phase.FAILED) for mark in self.phases)
        return None if ended else self._since_began(self.updated)

    @property
    def began(self) -> float | None:
        """When it began to start, without what it waited for before; None before."""
        return next((mark.at for mark in self.phases if mark.phase in _AT_WORK), None)

    def _since_began(self, moment: float | None) -> float | None:
        if self.began is None or moment is None:
            return None
        return moment - self.began if 0 <= moment - self.began <= LONGEST_START else None
