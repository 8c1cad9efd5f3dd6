"""The adapter under Ray's own wrapper of policies: what Ray knows goes in, a number comes out, the board is told."""

from __future__ import annotations

import io
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from penstock.board.decisions import ScalingDecision
from penstock.board.gauges import Gauge
from penstock.config import Document
from penstock.scaling import adapter

pytestmark = pytest.mark.ray


class _Board:
    """Keeps what was pinned; `broken` makes it fail, `gate` holds it up."""

    def __init__(self, *, broken: bool = False) -> None:
        self.pinned: list[ScalingDecision] = []
        self.gate = threading.Event()
        self.gate.set()
        self.came = threading.Semaphore(0)
        self._broken = broken

    def pin(self, decision: ScalingDecision) -> None:
        self.gate.wait(60)
        self.pinned.append(decision)
        self.came.release()
        if self._broken:
            raise ConnectionError("Ray's store is away")

    def decisions(self) -> list[ScalingDecision]:
        return self.pinned


class _Controller:
    """Serve's controller for one model: Ray's wrapper around the policy, and what the wrapper is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, board: _Board | None = None, **replicas: Any) -> None:
        from ray.serve.autoscaling_policy import _apply_autoscaling_config
        from ray.serve.config import AutoscalingConfig

        from penstock.assembly.serve_config import serve_config

        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.board = board or _Board()
        model = {"engine": "simulator", "replicas": {"min": 0, "max": 8, "target": 16, **replicas}}
        (rendered, _) = serve_config(Document.model_validate({"models": {"m": model}}))["applications"]
        self.config = AutoscalingConfig(**rendered["deployments"][0]["autoscaling_config"])
        ours = self.config.policy.get_policy()(**self.config.policy.policy_kwargs, decisions=self.board)
        self.policy: Callable[[Any], tuple[int, dict[str, Any]]] = _apply_autoscaling_config(ours)
        self.state: dict[str, Any] = {}
        self.asked = 0

    def ask(
        self, *, running: dict[str, dict[Gauge, float]] | None = None, waiting: float = 0.0, after: float = 2.0
    ) -> int:
        """Once, `after` seconds later."""
        from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
        from ray.serve.config import AutoscalingContext

        self.now += after
        deployment = DeploymentID(name="engine", app_name="model-m")
        ids = {name: ReplicaID(name, deployment) for name in running or {}}
        raw: dict[str, dict[ReplicaID, list[TimeStampedValue]]] = {}
        for name, gauges in (running or {}).items():
            for gauge, value in gauges.items():
                raw.setdefault(gauge.value, {})[ids[name]] = [TimeStampedValue(self.now, value)]
        context = AutoscalingContext(
            deployment_id=deployment,
            deployment_name="engine",
            app_name="model-m",
            current_num_replicas=len(ids),
            target_num_replicas=self.asked,
            running_replicas=list(ids.values()),
            total_num_requests=waiting,
            total_queued_requests=waiting,
            aggregated_metrics=None,
            raw_metrics=raw,
            capacity_adjusted_min_replicas=self.config.min_replicas,
            capacity_adjusted_max_replicas=self.config.max_replicas,
            policy_state=self.state,
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=time.time(),
            config=self.config,
        )
        self.asked, self.state = self.policy(context)
        return self.asked


def _load(running: float, queued: float = 0.0) -> dict[Gauge, float]:
    return {Gauge.RUNNING: running, Gauge.QUEUED: queued, Gauge.KV_USAGE: 0.5, Gauge.START_SECONDS: 90.0}


def test_requests_that_meet_no_replica_get_as_many_as_they_need_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch)
    assert controller.ask() == 0
    # Within the period, and past Ray's own rule, which is one replica.
    assert controller.ask(waiting=64, after=0.1) == 4


def test_rays_own_policy_still_wakes_what_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve import autoscaling_policy
    from ray.serve.config import AutoscalingConfig

    controller = _Controller(monkeypatch)
    controller.policy = autoscaling_policy._apply_autoscaling_config(autoscaling_policy.default_autoscaling_policy)
    controller.config = AutoscalingConfig(min_replicas=0, max_replicas=8)
    assert controller.ask(waiting=64) == 1


def test_a_step_is_answered_at_the_second_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch, min=1)
    assert controller.ask(running={"a": _load(0)}) == 1
    assert controller.ask(running={"a": _load(60, 4)}) == 1
    assert controller.ask(running={"a": _load(60, 4)}) == 4
    assert controller.ask(running={"a": _load(60, 4)}) == 4


def test_it_decides_once_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch, min=1)
    controller.asked = 1
    for _ in range(15):
        assert controller.ask(running={"a": _load(64)}, after=0.1) == 1


def test_ray_does_not_wait_once_more_after_the_policy_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch, downscaleDelay="20s", downscaleToZeroDelay="40s")
    controller.asked = 4
    idle = {name: _load(0) for name in "abcd"}
    numbers = [controller.ask(running=idle) for _ in range(11)]
    assert (numbers[0], numbers[-1]) == (4, 1)
    numbers = [controller.ask(running={"a": _load(0)}) for _ in range(11)]
    assert numbers[-1] == 0


def test_a_report_grows_old_by_our_clock_and_not_by_the_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = adapter._Heard()

    class _Replica:
        unique_id = "a"

    class _Point:
        def __init__(self, timestamp: float, value: float) -> None:
            self.timestamp, self.value = timestamp, value

    replica = _Replica()
    said = {Gauge.RUNNING: {replica: [_Point(5e9, 3.0)]}}
    assert heard.reports(said, 100.0)[0]["a"].age == 0
    assert heard.reports(said, 107.0)[0]["a"].age == 7
    said = {Gauge.RUNNING: {replica: [_Point(5e9, 3.0), _Point(5e9 + 1, 4.0)]}}
    fresh = heard.reports(said, 108.0)[0]["a"]
    assert (fresh.age, fresh.running) == (0, 4)


def test_the_board_is_told_what_was_decided_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch)
    controller.ask(waiting=64)
    assert controller.board.came.acquire(timeout=60)
    (decision,) = controller.board.pinned
    assert (decision.model, decision.replicas, decision.rule) == ("m", 4, "first")
    assert (decision.least, decision.most, decision.target) == (0, 8, 16)
    assert decision.waiting_requests == 64
    assert "64 requests" in decision.text


def test_the_board_hears_of_an_unchanged_decision_every_ten_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch, min=1)
    controller.asked = 1
    for _ in range(26):
        controller.ask(running={"a": _load(8)})
        controller.policy.__wrapped__._scaler._pins._pending.result(60)  # type: ignore[attr-defined]
    assert len(controller.board.pinned) == 6
    assert len({decision.since for decision in controller.board.pinned}) == 1


def test_a_board_that_fails_or_hangs_holds_up_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    board = _Board(broken=True)
    board.gate.clear()
    controller = _Controller(monkeypatch, board)
    assert controller.ask(waiting=64) == 4
    assert [controller.ask(running={name: _load(16) for name in "abcd"}) for _ in range(20)] == [4] * 20
    board.gate.set()
    assert board.came.acquire(timeout=60)
    assert len(board.pinned) == 1


def test_a_decision_that_fails_leaves_the_number_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    controller = _Controller(monkeypatch)
    controller.asked = 3

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(controller.policy.__wrapped__._scaler._heard, "reports", broken)  # type: ignore[attr-defined]
    assert controller.ask(running={"a": _load(0)}) == 3


def test_a_number_that_changes_is_taken_over_where_the_model_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve._private.autoscaling_state import DeploymentAutoscalingState
    from ray.serve._private.common import DeploymentID
    from ray.serve._private.config import DeploymentConfig, ReplicaConfig
    from ray.serve._private.deployment_info import DeploymentInfo

    def info(**replicas: Any) -> DeploymentInfo:
        config = _Controller(monkeypatch, **replicas).config
        return DeploymentInfo(
            deployment_config=DeploymentConfig(autoscaling_config=config, num_replicas=None),
            replica_config=ReplicaConfig.create(lambda: None),
            start_time_ms=0,
            deployer_job_id="",
            version="1",
        )

    state = DeploymentAutoscalingState(DeploymentID(name="engine", app_name="model-m"))
    assert state.register(info(min=1), curr_target_num_replicas=-1) == 1
    assert state.register(info(min=1, max=12), curr_target_num_replicas=5) == 5
    assert state.register(info(min=1, upscaleDelay="1m"), curr_target_num_replicas=5) == 5
    assert state._config.upscale_delay_s == 60


def test_a_gateway_of_another_version_can_read_what_ray_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    class _Gateway(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            looked_up.append(module)
            return super().find_class(module, name)

    sent = _Controller(monkeypatch).config.policy.get_serialized_policy_def()
    assert _Gateway(io.BytesIO(sent)).load().__name__ == "ModelScaling"
    assert looked_up
    assert [module for module in looked_up if module.startswith("penstock")] == []


def test_the_controllers_log_says_why_a_number_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    controller = _Controller(monkeypatch)
    with caplog.at_level("INFO", logger="ray.serve"):
        controller.ask(waiting=64)
        controller.ask(running={name: _load(16) for name in "abcd"})
    said = [record.getMessage() for record in caplog.records if "replicas asked for" in record.getMessage()]
    (line,) = said
    assert line.startswith("m: 4 replicas asked for instead of 0. 64 requests in progress or waiting, and no replica")
