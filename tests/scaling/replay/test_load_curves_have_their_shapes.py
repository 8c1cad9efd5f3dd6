"""The load curves of the replay."""

from __future__ import annotations

from itertools import pairwise

import pytest

from penstock.scaling.replay import curves, engine
from penstock.scaling.replay.requests import strangers


def test_a_step_a_spike_and_a_ramp() -> None:
    assert curves.step(0, 4, 2, 4) == (0, 0, 4, 4)
    assert curves.spike(1, 9, 1, 2, 5) == (1, 9, 9, 1, 1)
    assert curves.ramp(0, 4, rising=2, staying=1, falling=2, after=2) == (0, 2, 4, 4, 2, 0, 0)


def test_work_comes_after_silence_again_and_again() -> None:
    assert curves.on_and_off(2, 1, 2, 2) == (0, 0, 2, 0, 0, 2)


def test_a_day_is_quiet_at_three_and_busy_in_the_afternoon() -> None:
    load = curves.day(2, 40, seed=5)
    assert len(load) == 24 * curves.HOUR
    night, afternoon = (load[hour * curves.HOUR : (hour + 1) * curves.HOUR] for hour in (3, 15))
    assert sum(night) / len(night) == pytest.approx(2, rel=0.2)
    assert sum(afternoon) / len(afternoon) == pytest.approx(40, rel=0.2)
    assert min(load) >= 0


def test_a_bursty_load_takes_each_of_its_levels_for_its_time() -> None:
    load = curves.bursty((3, 8, 20), (400, 300, 200), 90_000, seed=5)
    assert set(load) == {3, 8, 20}
    turns = [before for before, after in pairwise(load) if before != after]
    for level, lasting in ((3, 400), (8, 300), (20, 200)):
        assert load.count(level) / turns.count(level) == pytest.approx(lasting, rel=0.35)


@pytest.mark.parametrize("load", [0.5, 100.0])
def test_strangers_come_as_often_as_the_load_says_and_at_random(load: float) -> None:
    source = strangers((load,) * 4000, seed=5)
    counts = [len(source(second, 0)) for second in range(4000)]
    mean = sum(counts) / len(counts)
    assert mean == pytest.approx(load * engine.rate_at_target(), rel=0.05)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    assert variance == pytest.approx(mean, rel=0.15)


def test_nobody_comes_without_load() -> None:
    source = strangers((0.0,) * 50, seed=5)
    assert {source(second, 0) for second in range(50)} == {b""}
