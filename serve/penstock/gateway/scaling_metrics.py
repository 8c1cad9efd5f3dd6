"""How many replicas models should have and why, for Prometheus: from the decisions that Serve's controller pins.

Every gateway shows all models, so take the maximum over gateways, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.board.decisions import ScalingDecision
from penstock.gateway.freshness import Freshness

RENEWED_WITHIN = 60.0
"""Seconds for which a decision is shown that nobody renews: the controller is away."""


class ScalingMetrics(Collector):
    """Shows the latest decisions."""

    def __init__(self, models: Callable[[], Collection[str]], *, longest_gap: float = 5.0) -> None:
        """
        Args:
            models: names of the models that there are; others are not shown.
            longest_gap: seconds that lie between two looks at most.
        """
        self._models = models
        self._freshness = Freshness(RENEWED_WITHIN, longest_gap=longest_gap)
        self._decisions: list[ScalingDecision] = []

    def note(self, decisions: Sequence[ScalingDecision], now: float) -> None:
        """Take note of what is on the board. Called at each look at it; `now` is monotonic seconds."""
        fresh = self._freshness.look({decision.model: decision.updated for decision in decisions}, now)
        self._decisions = [decision for decision in decisions if decision.model in fresh]

    def register(self, registry: CollectorRegistry) -> None:
        """Show it there. Called once."""
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        replicas = {
            "desired": _gauge("desired_replicas", "Replicas that there should be."),
            "running": _gauge("running_replicas", "Replicas that take requests."),
            "needed": _gauge("needed_replicas", "Replicas that the load of the moment needs, bounds and delays apart."),
        }
        load = _gauge("load", "Requests in progress or waiting anywhere, of which scaling knows.")
        waiting = _gauge("waiting_requests", "Requests that wait in all gateways together, as scaling sees them.")
        target = _gauge("target_requests", "Requests in progress per replica that are aimed at.")
        usage = _gauge("kv_cache_usage_ratio", "Mean share of the KV caches in use, 0 to 1.")
        missing = _gauge("missing_reports", "Replicas that take requests and have not reported lately.")
        since = _gauge("decision_timestamp_seconds", "When the desired number became what it is.")
        info = _gauge("decision_info", "1 for the rule that decided the number.", "rule")
        known = set(self._models())
        for decision in self._decisions:
            if decision.model not in known:
                continue
            model = [decision.model]
            replicas["desired"].add_metric(model, decision.replicas)
            replicas["running"].add_metric(model, decision.ready)
            replicas["needed"].add_metric(model, decision.needed)
            load.add_metric(model, decision.running_requests + decision.queued_requests + decision.waiting_requests)
            waiting.add_metric(model, decision.waiting_requests)
            target.add_metric(model, decision.target)
            usage.add_metric(model, decision.kv_usage)
            missing.add_metric(model, decision.missing_reports)
            since.add_metric(model, decision.since)
            info.add_metric([*model, decision.rule], 1)
        return [*replicas.values(), load, waiting, target, usage, missing, since, info]


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"penstock_scaling_{name}", text, labels=["model", *labels])
