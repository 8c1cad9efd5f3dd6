"""The decisions on replicas, as the gateways' metrics show them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from penstock.board.decisions import ScalingDecision
from penstock.gateway.scaling_metrics import ScalingMetrics


def _decision(**facts: Any) -> ScalingDecision:
    given = {"replicas": 4, "rule": "burst", "text": "Because.", "since": 100.0, "updated": 200.0}
    return ScalingDecision(**{"model": "m", "least": 0, "most": 8, "target": 16, **given, **facts})


def _shown(*looks: tuple[list[ScalingDecision], float], models: list[str] | None = None) -> dict[str, float]:
    registry = CollectorRegistry()
    metrics = ScalingMetrics(lambda: models or ["m"])
    metrics.register(registry)
    for decisions, now in looks:
        metrics.note(decisions, now)
    return {
        "|".join([sample.name.removeprefix("penstock_scaling_"), *sample.labels.values()]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_a_decision_is_shown_with_what_it_was_made_from() -> None:
    decision = _decision(ready=1, needed=4, running_requests=50, queued_requests=4, waiting_requests=10, kv_usage=0.5)
    shown = _shown(([decision], 0.0))
    assert shown == {
        "desired_replicas|m": 4,
        "running_replicas|m": 1,
        "needed_replicas|m": 4,
        "load|m": 64,
        "waiting_requests|m": 10,
        "target_requests|m": 16,
        "kv_cache_usage_ratio|m": 0.5,
        "missing_reports|m": 0,
        "decision_info|m|burst": 1,
        "decision_timestamp_seconds|m": 100.0,
    }


def test_models_that_are_gone_are_not_shown() -> None:
    assert _shown(([_decision(model="gone")], 0.0)) == {}


def test_a_decision_that_nobody_renews_is_not_shown_for_long() -> None:
    looks = [([_decision()], float(second)) for second in range(0, 66, 3)]
    assert "desired_replicas|m" in _shown(*looks[:19])
    assert _shown(*looks) == {}
    renewed = [([_decision(updated=float(second))], float(second)) for second in range(0, 66, 3)]
    assert "desired_replicas|m" in _shown(*renewed)
