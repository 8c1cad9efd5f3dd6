"""What is running, put together from Serve's list of replicas and the replicas' own reports. Pure.

Read by `penstock up` (the live picture), `penstock status` and `penstock doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

from penstock.assembly.serve_config import GATEWAY_APPLICATION
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.board.decisions import ScalingDecision


class State(StrEnum):
    """The whole of a model or of the gateway."""

    STARTING = "starting"
    READY = "ready"
    """At least one replica serves, and nothing is amiss."""
    DEGRADED = "degraded"
    """Some replica serves, another failed."""
    IDLE = "idle"
    """Scaled to zero: the first request starts a replica."""
    FAILED = "failed"
    STOPPING = "stopping"


class ReplicaStatus(BaseModel):
    """One replica."""

    replica: str
    phase: Phase
    since: float | None = None
    """When the phase began, seconds since the epoch."""
    phases: list[PhaseMark] = Field(default_factory=list)
    detail: str = ""
    node: str = ""
    pid: int | None = None
    engine_pids: list[int] = Field(default_factory=list)
    failure: Failure | None = None


class ModelStatus(BaseModel):
    """One served model."""

    name: str
    aliases: list[str] = Field(default_factory=list)
    engine: str = "vllm"
    source: str | None = None
    state: State
    settled: bool = True
    """Whether Serve is done with what it was told last: nothing starts, changes or stops."""
    message: str = ""
    """Why it is not ready, where somebody said so."""
    max_model_len: int | None = None
    replicas: list[ReplicaStatus] = Field(default_factory=list)
    failures: list[ReplicaStatus] = Field(default_factory=list)
    """Replicas that are gone and said why, latest last."""
    scaling: ScalingDecision | None = None
    """How many replicas there should be, and why; None before the first decision."""


class GatewayStatus(BaseModel):
    """The address."""

    url: str
    state: State
    settled: bool = True
    """Whether Serve is done with what it was told last."""
    message: str = ""
    replicas: int = 0
    """Replicas that listen."""
    pids: list[int] = Field(default_factory=list)


ProviderState = Literal["asked", "tried", "left alone"]
"""`left alone`: it failed again and again. `tried`: one request is let through to see."""


class ProviderStatus(BaseModel):
    """Another address, as one gateway sees it."""

    name: str
    state: ProviderState


class Status(BaseModel):
    """Everything."""

    gateway: GatewayStatus
    models: list[ModelStatus] = Field(default_factory=list)
    providers: list[ProviderStatus] = Field(default_factory=list)
    """Where a gateway was asked for them."""

    @property
    def ready(self) -> bool:
        """Whether every model can take a request, at once or after a start from zero."""
        usable = (State.READY, State.DEGRADED, State.IDLE)
        return self.gateway.state in usable and all(model.state in usable for model in self.models)

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way any more, for good or ill."""
        return self.gateway.settled and all(model.settled for model in self.models)

    @property
    def failed(self) -> list[str]:
        """What will not become ready without a change: names of models, or `gateway`."""
        models = [model.name for model in self.models if model.state is State.FAILED]
        return [*(["gateway"] if self.gateway.state is State.FAILED else []), *models]


def combine(
    applications: Mapping[str, Mapping[str, Any]],
    reports: Sequence[ReplicaReport],
    decisions: Sequence[ScalingDecision] = (),
    *,
    url: str,
) -> Status:
    """
    Args:
        applications: Serve's details by application (`ServeInstanceDetails.applications` as plain data).
        decisions: the latest on each model; those of models that are gone are ignored.
        url: where the gateway listens.
    """
    decided = {decision.model: decision for decision in decisions}
    models = [
        _model(details, reports, decided)
        for name, details in sorted(applications.items())
        if name != GATEWAY_APPLICATION
    ]
    return Status(gateway=_gateway(applications.get(GATEWAY_APPLICATION), url), models=models)


def _gateway(details: Mapping[str, Any] | None, url: str) -> GatewayStatus:
    if details is None:
        return GatewayStatus(url=url, state=State.STARTING, settled=False)
    running = [replica for replica in _replicas(details) if replica["state"] == "RUNNING"]
    state = _overall(details, serving=len(running), failed=0, idle=False)
    return GatewayStatus(
        url=url,
        state=state,
        settled=_settled(details),
        message=_message(details) if state is not State.READY else "",
        replicas=len(running),
        pids=[replica["pid"] for replica in running if replica.get("pid")],
    )


def _model(
    details: Mapping[str, Any], reports: Sequence[ReplicaReport], decided: Mapping[str, ScalingDecision]
) -> ModelStatus:
    args = (details.get("deployed_app_config") or {}).get("args") or {}
    model = args.get("model") or {}
    name = args.get("name", details.get("name", ""))
    said = {report.replica: report for report in reports if report.model == name}
    listed = {replica["replica_id"]: replica for replica in _replicas(details)}
    replicas = [_replica(found, said.get(found["replica_id"])) for found in listed.values()]
    failures = [
        _from_report(report)
        for report in sorted(said.values(), key=lambda report: report.updated)
        if report.failure is not None and report.replica not in listed
    ]
    serving = sum(replica.phase is Phase.READY for replica in replicas)
    failed = sum(replica.phase is Phase.FAILED for replica in replicas)
    state = _overall(details, serving=serving, failed=failed, idle=_wants_none(details))
    return ModelStatus(
        name=name,
        aliases=model.get("aliases", []),
        engine=model.get("engine", "vllm"),
        source=model.get("source"),
        state=state,
        settled=_settled(details),
        message=_why(details, replicas, failures) if state not in (State.READY, State.IDLE) else "",
        max_model_len=next((r.max_model_len for r in said.values() if r.max_model_len), None),
        replicas=replicas,
        failures=failures,
        scaling=decided.get(name),
    )


def _settled(details: Mapping[str, Any]) -> bool:
    return details.get("status") in ("RUNNING", "DEPLOY_FAILED", "UNHEALTHY")


def _overall(details: Mapping[str, Any], *, serving: int, failed: int, idle: bool) -> State:
    status = details.get("status")
    if status == "DELETING":
        return State.STOPPING
    if serving:
        return State.DEGRADED if failed or status in ("UNHEALTHY", "DEPLOY_FAILED") else State.READY
    if status == "DEPLOY_FAILED":
        return State.FAILED
    if status == "RUNNING" and idle:
        return State.IDLE
    return State.STARTING


def _replica(found: Mapping[str, Any], report: ReplicaReport | None) -> ReplicaStatus:
    status = (
        _from_report(report)
        if report is not None
        else ReplicaStatus(replica=found["replica_id"], phase=Phase.QUEUED, since=found.get("start_time_s"))
    )
    stopping = found["state"] == "STOPPING" and status.phase is not Phase.FAILED
    update = {"pid": found.get("pid") or status.pid, "node": found.get("node_ip") or status.node}
    return status.model_copy(update={**update, **({"phase": Phase.DRAINING} if stopping else {})})


def _from_report(report: ReplicaReport) -> ReplicaStatus:
    return ReplicaStatus(
        replica=report.replica,
        phase=report.phase,
        since=report.since or None,
        phases=report.phases,
        detail=report.detail,
        node=report.node,
        pid=report.pid,
        engine_pids=report.engine_pids,
        failure=report.failure,
    )


def _why(details: Mapping[str, Any], replicas: Sequence[ReplicaStatus], failures: Sequence[ReplicaStatus]) -> str:
    """The reason a replica gave, else Serve's."""
    said = [replica.failure for replica in [*failures, *replicas] if replica.failure is not None]
    if said:
        latest = said[-1]
        return f"{latest.cause} {latest.remedy}" if latest.remedy else latest.cause
    return _message(details)


def _message(details: Mapping[str, Any]) -> str:
    messages = [details.get("message") or "", *((d.get("message") or "") for d in _deployments(details))]
    return next((_last_line(message) for message in messages if message.strip()), "")


def _last_line(text: str) -> str:
    """Of a traceback, the line that says something."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if "Traceback" in text else " ".join(lines)


def _wants_none(details: Mapping[str, Any]) -> bool:
    return all(deployment.get("target_num_replicas") == 0 for deployment in _deployments(details))


def _deployments(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((details.get("deployments") or {}).values())


def _replicas(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [replica for deployment in _deployments(details) for replica in deployment.get("replicas") or []]
