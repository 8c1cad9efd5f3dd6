"""What administrators see of models and do with them: replicas, phases, the last failure, the log's end, loading.

Used by `app`, which makes one, and by `admin_operations`, which asks it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel, Field

from penstock.board import Phase, ReplicaReport
from penstock.board.decisions import ScalingDecision
from penstock.gateway.catalog import Catalog
from penstock.gateway.errors import ConflictError, GatewayError, NotFoundError, UnavailableError
from penstock.gateway.pool import LeasePool
from penstock.gateway.starts import Outlook

logger = logging.getLogger(__name__)

LINES = 200
"""Of a log, at most."""


class PhaseView(BaseModel):
    """A phase and the seconds that it took; of the last one, so far."""

    phase: Phase
    seconds: float


class ReplicaView(BaseModel):
    """One replica."""

    replica: str
    phase: Phase
    phases: list[PhaseView]
    detail: str = ""


class FailureView(BaseModel):
    """Why a model's last start or engine failed."""

    replica: str
    cause: str
    remedy: str | None = None


class ModelView(BaseModel):
    """One model."""

    name: str
    aliases: list[str]
    status: str
    ready: bool
    max_model_len: int | None = None
    sleeps: bool = False
    """Whether it may have no replica at all, so that it can be unloaded."""
    start_seconds: float | None = None
    """What a start takes, as far as this gateway saw."""
    requests: int = 0
    """In progress at this gateway."""
    waiting: int = 0
    """Waiting at this gateway for a replica."""
    replicas: list[ReplicaView] = Field(default_factory=list)
    failure: FailureView | None = None


class ModelList(BaseModel):
    """All models."""

    models: list[ModelView]


class LogEnd(BaseModel):
    """The end of an engine's log, oldest line first."""

    name: str
    replica: str | None = None
    """Whose it is; null where no replica is known."""
    lines: list[str] = Field(default_factory=list)
    missing: str = ""
    """Why there are no lines."""


class ModelsDesk:
    """Belongs to one event loop.

    Args:
        pools, catalog: what the gateway serves now.
        outlook: when a model will have a replica.
    """

    def __init__(
        self,
        pools: Callable[[], Mapping[str, LeasePool]],
        catalog: Callable[[], Catalog],
        outlook: Callable[[str], Outlook],
    ) -> None:
        self.reports: Sequence[ReplicaReport] = ()
        """What replicas say now, and what failed ones said last."""
        self.read_log: Callable[[str], list[str] | None] = lambda _: None
        """The last lines of a replica's log; None where it cannot be reached from here. May block."""
        self.decisions: Sequence[ScalingDecision] = ()
        """What was decided on the models' replicas last."""
        self.ask_for_rest: Callable[[str], None] | None = None
        """How a model's scaling is asked to stop its replicas. May block; raises what the board raises."""
        self._pools = pools
        self._catalog = catalog
        self._outlook = outlook
        self._loads: dict[str, asyncio.Task[None]] = {}

    def all(self) -> ModelList:
        """All models, as they are."""
        return ModelList(models=[self._view(name) for name in self._catalog().models])

    async def load(self, name: str) -> ModelView:
        """Have a replica started, where there is none: in the background, by waiting for one as a request does. It
        stays as long as after a request. Raises NotFoundError."""
        model = self._catalog().resolve(name)
        if not model.state.ready and model.name not in self._loads:
            task = asyncio.get_running_loop().create_task(self._wait_for(model.name), name=f"load-{model.name}")
            self._loads[model.name] = task
            task.add_done_callback(lambda _: self._loads.pop(model.name, None))
        return self._view(model.name)

    async def unload(self, name: str) -> ModelView:
        """Ask for a model's replicas to stop as soon as nobody uses them: in the background, by its scaling.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: it may not be without a replica.
            UnavailableError: nobody can be asked.
        """
        model = self._catalog().resolve(name)
        if not self._sleeps(model.name) or self.ask_for_rest is None:
            raise ConflictError(
                f"The model {model.name!r} always keeps a replica. The document's replicas.min: 0 lets it sleep.",
                code="never_sleeps",
            )
        try:
            await asyncio.to_thread(self.ask_for_rest, model.name)
        except Exception as error:
            logger.warning("a model cannot be unloaded", exc_info=True)
            raise UnavailableError(
                "Ray's store cannot be reached; the gateway's log says why. Try again later.",
                code="board_unavailable",
                retry_after=2.0,
            ) from error
        return self._view(model.name)

    async def log(self, name: str) -> LogEnd:
        """The end of the log of the replica that is at work, else of the one that failed. Raises NotFoundError."""
        model = self._catalog().resolve(name)
        reports = sorted(self._of(model.name), key=lambda report: (report.failure is None, report.updated))
        if not reports:
            return LogEnd(name=model.name, missing="It has no replica, and none failed lately, so there is no log.")
        last = reports[-1]
        lines = await asyncio.to_thread(self.read_log, last.replica)
        if lines is None:
            lines = last.failure.log_tail if last.failure is not None else []
        missing = f"The log lies where the replica runs, in Ray's folder of logs: engine-*-{last.replica}.log"
        return LogEnd(name=model.name, replica=last.replica, lines=lines[-LINES:], missing="" if lines else missing)

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = list(self._loads.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for(self, name: str) -> None:
        if (pool := self._pools().get(name)) is None:
            return
        try:
            pool.release(await pool.acquire())
        except GatewayError as error:
            logger.warning("a model was not loaded", extra={"fields": {"model": name, "why": error.message}})

    def _sleeps(self, name: str) -> bool:
        return any(decision.model == name and decision.least == 0 for decision in self.decisions)

    def _of(self, name: str) -> list[ReplicaReport]:
        return [report for report in self.reports if report.model == name]

    def _view(self, name: str) -> ModelView:
        if (model := self._catalog().models.get(name)) is None:
            raise NotFoundError(f"The model {name!r} does not exist.", code="model_not_found")
        reports = self._of(name)
        pool = self._pools().get(name)
        return ModelView(
            name=name,
            aliases=list(model.aliases),
            status=model.state.status,
            ready=model.state.ready,
            max_model_len=model.state.max_model_len,
            sleeps=self._sleeps(name),
            start_seconds=self._outlook(name).usual,
            requests=pool.lent if pool is not None else 0,
            waiting=pool.waiting if pool is not None else 0,
            replicas=[_replica(report) for report in reports if report.failure is None],
            failure=_last_failure(reports),
        )


def _replica(report: ReplicaReport) -> ReplicaView:
    phases = [PhaseView(phase=phase, seconds=round(took, 1)) for phase, took in report.phase_seconds]
    return ReplicaView(replica=report.replica, phase=report.phase, phases=phases, detail=report.detail)


def _last_failure(reports: Sequence[ReplicaReport]) -> FailureView | None:
    failed = [report for report in reports if report.failure is not None]
    if not failed:
        return None
    last = max(failed, key=lambda report: report.updated)
    assert last.failure is not None
    return FailureView(replica=last.replica, cause=last.failure.cause, remedy=last.failure.remedy)
