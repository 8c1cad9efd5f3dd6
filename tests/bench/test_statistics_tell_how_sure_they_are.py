"""Percentiles, medians and their intervals."""

from __future__ import annotations

import itertools
import math
import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.bench.statistics import estimate, median, median_interval, percentile

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@given(numbers)
def test_the_median_is_the_one_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == pytest.approx(reference.median(values), rel=1e-9, abs=1e-6)


@given(numbers, st.floats(0, 1), st.floats(0, 1))
def test_percentiles_rise_and_stay_within_the_values(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert min(values) <= percentile(values, low) <= percentile(values, high) <= max(values)


def test_percentiles_are_interpolated_between_neighbours() -> None:
    values = [float(value) for value in range(101)]
    assert percentile(values, 0.95) == 95
    assert percentile([1.0, 2.0], 0.25) == 1.25


def test_of_nothing_there_is_no_percentile_and_no_interval() -> None:
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(median_interval([]).low)
    assert median_interval([]).coverage == 0


@given(numbers)
def test_the_interval_holds_the_median_and_lies_within_the_values(values: list[float]) -> None:
    interval = median_interval(values)
    assert min(values) <= interval.low <= median(values) <= interval.high <= max(values)


@given(st.integers(6, 400))
def test_with_six_values_or_more_the_interval_covers_95_percent(count: int) -> None:
    assert 0.95 <= median_interval([float(value) for value in range(count)]).coverage <= 1


@given(st.integers(1, 5))
def test_with_fewer_values_the_interval_is_the_whole_range_and_says_what_it_covers(count: int) -> None:
    interval = median_interval([float(value) for value in range(count)])
    assert (interval.low, interval.high) == (0, count - 1)
    assert interval.coverage == pytest.approx(1 - 2 * 0.5**count)


def test_the_ranks_are_those_of_the_tables() -> None:
    # The classical table: for n = 9 the second and the eighth value (0.961), for n = 20 the sixth and the fifteenth.
    assert median_interval([float(value) for value in range(1, 10)])[:2] == (2, 8)
    assert median_interval([float(value) for value in range(1, 21)])[:2] == (6, 15)


@pytest.mark.parametrize("count", [6, 7, 9])
def test_the_coverage_is_what_counting_all_outcomes_gives(count: int) -> None:
    values = [float(value) for value in range(count)]
    interval = median_interval(values)
    rank = int(interval.low)
    # Each value lies below the true median or not, as a coin falls.
    outcomes = [sum(coins) for coins in itertools.product((0, 1), repeat=count)]
    covered = sum(rank + 1 <= below <= count - rank - 1 for below in outcomes) / len(outcomes)
    assert interval.coverage == pytest.approx(covered)


def test_thousands_of_values_are_no_trouble() -> None:
    found = estimate([float(value) for value in range(3000)])
    assert found.size == 3000
    assert found.median == 1499.5
    assert found.interval.high - found.interval.low < 120
