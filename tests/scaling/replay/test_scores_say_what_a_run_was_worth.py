"""The score of a run."""

from __future__ import annotations

from collections import Counter

import pytest

from penstock.scaling.replay.score import score
from penstock.scaling.replay.world import TICK_S, Run


def run(targets: list[int], waits: dict[float, int] | None = None) -> Run:
    ticks = Counter({round(seconds / TICK_S): count for seconds, count in (waits or {1.0: 1}).items()})
    return Run(targets, targets, targets, ticks)


def test_waiting_times_are_weighed_by_requests() -> None:
    values = score(run([1], {0.5: 90, 8.0: 6, 60.0: 4}), [1.0])
    assert values.mean_s == pytest.approx((45 + 48 + 240) / 100)
    assert (values.p95_s, values.p99_s) == (pytest.approx(8), pytest.approx(60))
    assert values.long_waits == pytest.approx(0.04)


def test_replica_time_is_what_was_there() -> None:
    assert score(run([3] * 1800 + [1] * 3600), [1.0]).replica_hours == pytest.approx(2.5)


def test_what_is_beyond_the_need_of_the_highest_load_is_too_many() -> None:
    assert score(run([1, 7, 2]), [0.5, 3.2]).overshoot == 3
    assert score(run([1, 2]), [0.5, 3.2]).overshoot == 0


def test_only_quick_turns_are_flaps() -> None:
    assert score(run([1] * 9 + [2] * 9 + [1] * 9 + [2] * 9), [1.0]).longest_flap == 2
    assert score(run([1] * 9 + [2] * 700 + [1] * 9), [1.0]).longest_flap == 0
    assert score(run([1] * 9 + [2] * 9 + [3] * 9), [1.0]).longest_flap == 0
    assert score(run([1] * 9 + [2] * 9 + [3] * 9), [1.0]).changes == 2


def test_a_run_without_requests_waited_for_nothing() -> None:
    values = score(Run([0], [0], [0], Counter()), [0.0])
    assert (values.mean_s, values.p99_s, values.long_waits) == (0, 0, 0)
