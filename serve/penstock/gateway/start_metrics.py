"""How long the engines' starts took, by phase, for Prometheus: from the reports that the gateway reads anyway.

Every gateway shows all models, so take the maximum over gateways, not the sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.board import Phase, PhaseMark, ReplicaReport

_AFTER_A_START = (Phase.READY, Phase.DRAINING, Phase.FAILED)


class StartMetrics(Collector):
    """Counts the starts that ended since this gateway runs; the phases are those of a model's latest whole start."""

    def __init__(self, models: Callable[[], Collection[str]]) -> None:
        """
        Args:
            models: names of the models that there are; others are not shown.
        """
        self._models = models
        self._counted: set[str] = set()
        self._starts: dict[tuple[str, str], int] = {}
        self._latest: dict[str, tuple[float, dict[str, float]]] = {}

    def note(self, reports: Iterable[ReplicaReport]) -> None:
        """Take note of what replicas say now. Called at each look at the board, with all that is on it."""
        reports = list(reports)
        for report in reports:
            if report.replica not in self._counted and (outcome := _outcome(report)) is not None:
                self._counted.add(report.replica)
                key = (report.model, outcome)
                self._starts[key] = self._starts.get(key, 0) + 1
                if outcome == "ready":
                    self._keep(report)
        self._counted &= {report.replica for report in reports}

    def register(self, registry: CollectorRegistry) -> None:
        """Show it there. Called once."""
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        seconds = GaugeMetricFamily(
            "penstock_engine_start_seconds",
            "How long each phase of the model's latest start took.",
            labels=["model", "phase"],
        )
        starts = CounterMetricFamily(
            "penstock_engine_starts", "Starts of engines, by how they ended.", labels=["model", "outcome"]
        )
        models = set(self._models())
        for model, (_, phases) in self._latest.items():
            if model in models:
                for phase, took in phases.items():
                    seconds.add_metric([model, phase], took)
        for (model, outcome), count in self._starts.items():
            if model in models:
                starts.add_metric([model, outcome], count)
        return [seconds, starts]

    def _keep(self, report: ReplicaReport) -> None:
        ready = next(mark.at for mark in report.phases if mark.phase is Phase.READY)
        if report.model not in self._latest or ready >= self._latest[report.model][0]:
            self._latest[report.model] = (ready, durations(report.phases))


def durations(phases: Sequence[PhaseMark]) -> dict[str, float]:
    """Seconds in each phase up to being ready. A phase that was entered twice counts twice; a clock that was set back
    makes none negative."""
    found: dict[str, float] = {}
    for mark, following in itertools.pairwise(phases):
        if mark.phase in _AFTER_A_START:
            break
        found[mark.phase.value] = found.get(mark.phase.value, 0.0) + max(following.at - mark.at, 0.0)
    return found


def _outcome(report: ReplicaReport) -> str | None:
    """How a start ended; None while it goes on, and where nobody can say."""
    passed = {mark.phase for mark in report.phases}
    if Phase.READY in passed:
        return "ready"
    return "failed" if Phase.FAILED in passed else None
