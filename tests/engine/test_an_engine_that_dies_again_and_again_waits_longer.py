"""The pause before a start, from what is on the board."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.board import Failure, Phase, PhaseMark, ReplicaReport
from penstock.config import Model
from penstock.engine.crash_loop import (
    LEAST_SERVICE,
    LONGEST_PAUSE,
    LONGEST_SERVICE,
    digest,
    failures_in_a_row,
    pause,
    predecessor,
    remaining,
)
from penstock.engine.spec import EngineSpec

BROKE = Failure(cause="It broke.")


def _report(
    replica: str, updated: float = 0.0, *, ready: float | None = None, start: float = 1.0, **more: object
) -> ReplicaReport:
    """`start` is how long it took to become ready."""
    began = [] if ready is None else [PhaseMark(phase=Phase.STARTING, at=ready - start)]
    phases = [*began, *([] if ready is None else [PhaseMark(phase=Phase.READY, at=ready)])]
    given = {"failure": BROKE, "spec": "s", **more}
    return ReplicaReport(model="demo", replica=replica, phases=phases, updated=updated, **given)


def _before(*reports: ReplicaReport, spec: str = "s", lost: frozenset[str] = frozenset()) -> str | None:
    found = predecessor(reports, model="demo", spec=spec, lost=lambda report: report.replica in lost)
    return found.replica if found else None


def test_the_first_restart_is_immediate_and_each_further_one_waits_longer() -> None:
    assert [pause(failures) for failures in range(9)] == [0, 0, 10, 20, 40, 80, 160, 300, 300]


@given(st.integers(0, 10**9))
def test_a_pause_never_shrinks_and_is_bounded(failures: int) -> None:
    assert 0 <= pause(failures) <= pause(failures + 1) <= LONGEST_PAUSE


def test_failures_add_up_along_a_line_of_replicas() -> None:
    board: list[ReplicaReport] = []
    waits = []
    for number in range(5):
        before = predecessor(board, model="demo", spec="s", lost=lambda _: False)
        failures = failures_in_a_row(before) if before else 0
        waits.append(pause(failures))
        follows = before.replica if before else ""
        board.append(_report(str(number), float(number), follows=follows, failures_before=failures))
    assert waits == [0, 0, 10, 20, 40]


@pytest.mark.parametrize(
    ("start", "enough"),
    [(0.0, LEAST_SERVICE), (2.0, LEAST_SERVICE), (20.0, 200.0), (240.0, LONGEST_SERVICE)],
)
def test_a_failure_after_a_service_that_was_worth_the_start_is_the_first(start: float, enough: float) -> None:
    def failures(served: float) -> int:
        return failures_in_a_row(_report("a", 1000 + served, ready=1000, start=start, failures_before=7))

    assert [failures(served) for served in (0, enough - 1, enough, 86400)] == [8, 8, 1, 1]


def test_a_replica_that_never_served_adds_to_the_row_however_long_it_took() -> None:
    assert failures_in_a_row(_report("a", 1e9, failures_before=2)) == 3


def test_a_start_takes_the_place_of_the_latest_failure_that_nobody_replaced() -> None:
    assert _before(_report("a", 1), _report("b", 2)) == "b"
    assert _before(_report("a", 1), _report("b", 2), _report("c", 3, failure=None, follows="b")) == "a"


def test_healthy_replicas_and_other_models_are_no_predecessors() -> None:
    assert _before(_report("a", failure=None)) is None
    assert predecessor([_report("a")], model="other", spec="s", lost=lambda _: True) is None


def test_a_changed_document_starts_at_once() -> None:
    assert _before(_report("a"), spec="t") is None


def test_a_replica_that_is_gone_without_a_word_counts() -> None:
    assert _before(_report("a", failure=None), lost=frozenset({"a"})) == "a"


def test_the_digest_follows_what_is_run() -> None:
    first, second = (
        EngineSpec(name="demo", model=Model(engine="simulator", options={"seed": seed})) for seed in (1, 2)
    )
    assert digest(first) == digest(first.model_copy())
    assert digest(first) != digest(second)


@given(st.integers(0, 20), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_clocks_that_differ_never_make_the_pause_longer_than_it_is(failures: int, failed_at: float, now: float) -> None:
    assert 0 <= remaining(failures, failed_at=failed_at, now=now) <= pause(failures)


def test_the_time_since_the_failure_is_part_of_the_pause() -> None:
    assert [remaining(4, failed_at=100, now=100 + passed) for passed in (0, 15, 40, 500)] == [40, 25, 0, 0]


@given(st.lists(st.sampled_from(["die", "serve"]), max_size=30))
def test_the_wait_depends_on_the_deaths_since_the_last_good_service_alone(lives: list[str]) -> None:
    failures = 0
    for life in lives:
        served = LEAST_SERVICE if life == "serve" else 1.0
        failures = failures_in_a_row(_report("r", served, ready=0.0, failures_before=failures))
    row = len(list(itertools.takewhile(lambda life: life == "die", reversed(lives))))
    assert failures == (row + 1 if row < len(lives) else row)
