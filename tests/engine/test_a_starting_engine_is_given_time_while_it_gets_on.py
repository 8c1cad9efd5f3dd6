"""The clock that follows progress instead of a fixed limit."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.stall import Sample, StallClock, take_sample


def _clock() -> StallClock:
    return StallClock(Sample(0, 0, 0, 0))


@pytest.mark.parametrize(
    "sample",
    [
        Sample(10, log_bytes=1, cpu_seconds=0, read_bytes=0),
        Sample(10, log_bytes=0, cpu_seconds=5, read_bytes=0),
        Sample(10, log_bytes=0, cpu_seconds=0, read_bytes=2**20),
    ],
)
def test_a_line_of_log_or_work_or_reading_is_progress(sample: Sample) -> None:
    assert _clock().observe(sample) == 0


def test_an_idle_engine_is_counted_from_its_last_progress() -> None:
    clock = _clock()
    clock.observe(Sample(10, 5, 0, 0))
    clock.observe(Sample(20, 5, 0.01, 100))
    assert clock.observe(Sample(40, 5, 0.02, 200)) == 30


def test_children_that_end_are_no_progress() -> None:
    clock = _clock()
    clock.observe(Sample(1, 5, 100, 100))
    assert clock.observe(Sample(9, 5, 0, 0)) == 8


@given(st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 3), st.floats(0, 3)), min_size=1))
def test_the_stall_is_never_longer_than_the_time_since_the_start(steps: list[tuple[float, int, float]]) -> None:
    clock = _clock()
    at, log, cpu = 0.0, 0, 0.0
    for elapsed, lines, work in steps:
        at, log, cpu = at + elapsed, log + lines, cpu + work
        assert 0 <= clock.observe(Sample(at, log, cpu, 0)) <= at


def test_a_sample_of_this_process_has_its_processor_time() -> None:
    sample = take_sample([os.getpid(), 2**22 + 1], at=1.0, log_bytes=7)
    assert sample.cpu_seconds > 0
    assert sample.log_bytes == 7
