"""From the replicas' reports to Prometheus: seconds per phase of the latest start, and how starts end."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from penstock.board import Phase, PhaseMark, ReplicaReport
from penstock.gateway.start_metrics import StartMetrics, durations


def _report(replica: str, *marks: tuple[Phase, float], model: str = "demo") -> ReplicaReport:
    return ReplicaReport(model=model, replica=replica, phases=[PhaseMark(phase=phase, at=at) for phase, at in marks])


def _whole(replica: str, began: float, loading: float = 4.0) -> ReplicaReport:
    return _report(
        replica,
        (Phase.FETCHING, began),
        (Phase.STARTING, began + 1),
        (Phase.LOADING, began + 3),
        (Phase.WARMING, began + 3 + loading),
        (Phase.READY, began + 10),
    )


def _shown(metrics: StartMetrics) -> list[str]:
    registry = CollectorRegistry()
    metrics.register(registry)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def _metrics(*models: str) -> StartMetrics:
    return StartMetrics(lambda: models or ("demo",))


def test_a_whole_start_is_shown_by_its_phases() -> None:
    metrics = _metrics()
    metrics.note([_whole("a", 1000)])
    assert _shown(metrics) == [
        'penstock_engine_start_seconds{model="demo",phase="fetching"} 1.0',
        'penstock_engine_start_seconds{model="demo",phase="starting"} 2.0',
        'penstock_engine_start_seconds{model="demo",phase="loading"} 4.0',
        'penstock_engine_start_seconds{model="demo",phase="warming"} 3.0',
        'penstock_engine_starts_total{model="demo",outcome="ready"} 1.0',
    ]


def test_a_start_is_counted_once_however_often_it_is_seen() -> None:
    metrics = _metrics()
    for _ in range(3):
        metrics.note([_whole("a", 1000), _report("b", (Phase.STARTING, 1), (Phase.FAILED, 2))])
    shown = _shown(metrics)
    assert 'penstock_engine_starts_total{model="demo",outcome="ready"} 1.0' in shown
    assert 'penstock_engine_starts_total{model="demo",outcome="failed"} 1.0' in shown


def test_the_latest_start_is_the_one_shown() -> None:
    metrics = _metrics()
    metrics.note([_whole("late", 2000, loading=5), _whole("early", 1000)])
    assert 'penstock_engine_start_seconds{model="demo",phase="loading"} 5.0' in _shown(metrics)


def test_a_death_after_the_start_is_no_failed_start() -> None:
    metrics = _metrics()
    died = _whole("a", 1000)
    metrics.note([died.model_copy(update={"phases": [*died.phases, PhaseMark(phase=Phase.FAILED, at=1500)]})])
    assert 'penstock_engine_starts_total{model="demo",outcome="ready"} 1.0' in _shown(metrics)
    assert not any("failed" in line for line in _shown(metrics))


def test_a_start_that_goes_on_and_models_that_are_gone_are_not_shown() -> None:
    metrics = _metrics("other")
    metrics.note([_whole("a", 1000), _report("b", (Phase.STARTING, 1), model="other")])
    assert _shown(metrics) == []


def test_a_clock_that_is_set_back_makes_no_phase_negative() -> None:
    marks = [PhaseMark(phase=Phase.STARTING, at=100.0), PhaseMark(phase=Phase.READY, at=40.0)]
    assert durations(marks) == {"starting": 0.0}


def test_a_second_try_of_a_phase_adds_to_it() -> None:
    marks = [(Phase.STARTING, 0.0), (Phase.STARTING, 2.0), (Phase.WARMING, 5.0), (Phase.READY, 6.0)]
    assert durations(_report("a", *marks).phases) == {"starting": 5.0, "warming": 1.0}
