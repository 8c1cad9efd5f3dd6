import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config.units import (
    LARGEST_SIZE,
    LONGEST_DURATION,
    format_bytes,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("32Mi", 33554432), ("1.5Gi", 1610612736), ("200M", 200_000_000), ("7", 7), (7, 7), ("4 KiB", 4096), ("1k", 1000)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h 30m", 5400), ("2d", 172800), ("0.5", 0.5),
     (90, 90), (0.1, 0.1), ("600", 600)],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value", ["", "x", "-1Mi", "1ki", "1Mi2", "1e3", True, None, 1.5, [], -1, "9" * 30, 2**63, 10**400, "٣", "9" * 6000]
)
def test_what_is_no_size_is_refused_with_the_reason(value):
    with pytest.raises(ValueError, match=r"no size; write bytes|negative; a size|too large; a size"):
        parse_size(value)


@pytest.mark.parametrize(
    "value", ["", "x", "-1s", "1x", "1s2", True, None, [], -1, -0.5, float("inf"), float("nan"), 10**400, "9" * 400]
)
def test_what_is_no_duration_is_refused_with_the_reason(value):
    with pytest.raises(ValueError, match=r"no duration; (write seconds|it is)|negative; a duration|too long; a"):
        parse_duration(value)


@pytest.mark.parametrize(("seconds", "text"), [(600, "10m"), (0, "0s"), (0.05, "50ms"), (90, "90s"), (86400, "1d")])
def test_durations_are_written_short(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1288490188, "1.2 GiB"), (3 * 2**40, "3.0 TiB"), (2**51, "2048.0 TiB")],
)
def test_sizes_are_rounded_for_people(size, text):
    assert format_bytes(size) == text


@given(st.integers(0, LARGEST_SIZE))
def test_a_size_survives_being_written_and_read(size):
    assert parse_size(format_size(size)) == size


@given(st.floats(0, LONGEST_DURATION))
def test_a_duration_survives_being_written_and_read(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text() | st.integers() | st.floats() | st.none() | st.binary())
def test_units_refuse_with_value_errors_alone(value):
    for parse in (parse_size, parse_duration):
        with contextlib.suppress(ValueError):
            assert parse(value) >= 0


@given(st.decimals(0, 1000, places=3), st.sampled_from(["Ki", "Mi", "Gi"]))
def test_a_fraction_of_a_size_is_rounded_down_to_whole_bytes(number, unit):
    factor = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]
    assert parse_size(f"{number:f}{unit}") == int(Decimal(number) * factor)
