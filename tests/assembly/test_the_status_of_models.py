"""Serve's list of replicas and the replicas' own reports → what people are told."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.assembly.status import State, Status, combine
from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.board.decisions import ScalingDecision

URL = "http://127.0.0.1:8000"


def _serve(
    *states: tuple[str, str], status: str = "RUNNING", target: int = 1, message: str = "", name: str = "demo"
) -> dict[str, Any]:
    return {
        "name": f"model-{name}",
        "status": status,
        "message": message,
        "deployed_app_config": {"args": {"name": name, "model": {"source": "/m", "aliases": ["d"]}}},
        "deployments": {
            "engine": {
                "message": "",
                "target_num_replicas": target,
                "replicas": [
                    {"replica_id": i, "state": s, "pid": 7, "node_ip": "10.0.0.1", "start_time_s": 5.0}
                    for i, s in states
                ],
            }
        },
    }


def _report(replica: str, *phases: Phase, failure: Failure | None = None, **facts: Any) -> ReplicaReport:
    marks = [PhaseMark(phase=phase, at=float(index)) for index, phase in enumerate(phases, 100)]
    return ReplicaReport(model="demo", replica=replica, phases=marks, failure=failure, updated=200.0, **facts)


def _status(serve: dict[str, Any], *reports: ReplicaReport) -> Status:
    gateway = {
        "name": "gateway",
        "status": "RUNNING",
        "deployments": {"gateway": {"replicas": [{"replica_id": "g", "state": "RUNNING", "pid": 9}]}},
    }
    return combine({"model-demo": serve, "gateway": gateway}, list(reports), url=URL)


def test_a_starting_replica_shows_its_own_phase_and_times() -> None:
    report = _report("r", Phase.FETCHING, Phase.STARTING, detail="1 of 2 GiB")
    (model,) = _status(_serve(("r", "STARTING"), status="DEPLOYING"), report).models
    assert model.state is State.STARTING
    assert not model.settled
    (replica,) = model.replicas
    assert (replica.phase, replica.since, replica.detail) == (Phase.STARTING, 101.0, "1 of 2 GiB")
    assert (replica.pid, replica.node) == (7, "10.0.0.1")


def test_a_replica_without_a_report_waits_for_a_place() -> None:
    (model,) = _status(_serve(("r", "STARTING"), status="DEPLOYING")).models
    assert model.replicas[0].phase is Phase.QUEUED


def test_a_ready_replica_makes_the_model_ready() -> None:
    status = _status(_serve(("r", "RUNNING")), _report("r", Phase.READY, max_model_len=1024))
    (model,) = status.models
    assert model.state is State.READY
    assert model.max_model_len == 1024
    assert model.aliases == ["d"]
    assert status.ready
    assert status.settled
    assert status.failed == []
    assert status.gateway.replicas == 1


def test_a_dead_replicas_report_does_not_make_a_model_ready() -> None:
    (model,) = _status(_serve(status="DEPLOYING"), _report("dead", Phase.READY)).models
    assert model.state is State.STARTING
    assert model.replicas == []


def test_the_reason_of_a_gone_replica_is_kept_and_told() -> None:
    failure = Failure(cause="The GPU has too little memory.", remedy="Use a smaller model.", log_tail=["boom"])
    status = _status(_serve(status="DEPLOY_FAILED", message="x"), _report("gone", Phase.FAILED, failure=failure))
    (model,) = status.models
    assert model.state is State.FAILED
    assert model.message == "The GPU has too little memory. Use a smaller model."
    assert model.failures[0].failure == failure
    assert status.failed == ["demo"]
    assert not status.ready


def test_serves_message_is_told_where_no_replica_gave_a_reason() -> None:
    trace = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'x'\n"
    (model,) = _status(_serve(status="DEPLOY_FAILED", message=trace)).models
    assert model.message == "ModuleNotFoundError: No module named 'x'"


def test_one_of_two_replicas_failed_is_degraded() -> None:
    failed = _report("b", Phase.FAILED, failure=Failure(cause="It broke."))
    status = _status(_serve(("a", "RUNNING"), ("b", "STARTING"), target=2), _report("a", Phase.READY), failed)
    assert status.models[0].state is State.DEGRADED
    assert status.models[0].message == "It broke."
    assert status.ready


def test_a_model_scaled_to_zero_is_idle_and_usable() -> None:
    status = _status(_serve(target=0))
    assert status.models[0].state is State.IDLE
    assert status.ready


@pytest.mark.parametrize("phase", [Phase.READY, Phase.LOADING])
def test_a_stopping_replica_is_draining(phase: Phase) -> None:
    (model,) = _status(_serve(("r", "STOPPING"), status="DELETING"), _report("r", phase)).models
    assert model.replicas[0].phase is Phase.DRAINING
    assert model.state is State.STOPPING


def test_without_a_gateway_nothing_is_ready() -> None:
    status = combine({}, [], url=URL)
    assert status.gateway.state is State.STARTING
    assert not status.ready
    assert not status.settled


def test_a_failed_gateway_is_named() -> None:
    status = combine({"gateway": {"status": "DEPLOY_FAILED", "message": "port taken"}}, [], url=URL)
    assert status.failed == ["gateway"]
    assert status.gateway.message == "port taken"


def _decision(model: str, **facts: Any) -> ScalingDecision:
    given = {"replicas": 2, "rule": "load", "text": "Because.", "since": 1.0, "updated": 2.0}
    return ScalingDecision(**{"model": model, "least": 0, "most": 8, "target": 16, **given, **facts})


def test_a_model_shows_why_it_has_its_number_once_that_was_decided() -> None:
    decisions = [_decision("other"), _decision("demo")]
    (model,) = combine({"model-demo": _serve(("r", "RUNNING"))}, [], decisions, url=URL).models
    assert model.scaling == decisions[1]
    (model,) = combine({"model-demo": _serve(("r", "RUNNING"))}, [], url=URL).models
    assert model.scaling is None
