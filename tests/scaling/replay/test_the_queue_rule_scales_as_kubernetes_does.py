"""The replay's KEDA and pod autoscaler, by the rules that their documentation gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.scaling.replay.reports import Line
from penstock.scaling.replay.rivals.queue_rule import Config, QueueRule, limited, recommended
from penstock.scaling.replay.world import Truth

CONFIG = Config(threshold=16, min_replicas=0, max_replicas=100)


def targets(
    waiting: Callable[[int], float], seconds: int, *, config: Config = CONFIG, target: int = 0, lost: float = 0.0
) -> list[int]:
    """What the rule asks for in each second when so much waits."""
    rule = QueueRule(config, lambda truth: truth.waiting, Line(lost=lost), seed=1)
    told = []
    for second in range(seconds):
        target = rule.decide(Truth(second, target, 0, None, (), waiting(second)))
        told.append(target)
    return told


@pytest.mark.parametrize(
    ("number", "replicas", "expected"),
    [(80, 4, 5), (81, 4, 6), (70, 4, 4), (58, 4, 4), (57, 4, 4), (40, 4, 3), (0, 4, 0)],
)
def test_the_number_is_shared_out_unless_it_is_within_a_tenth(number: float, replicas: int, expected: int) -> None:
    assert recommended(number, replicas, CONFIG) == expected


def test_growth_is_by_four_or_twofold() -> None:
    assert [limited(100, replicas) for replicas in (1, 3, 4, 5, 40)] == [5, 7, 8, 10, 80]
    assert limited(6, 4) == 6


def test_something_to_do_is_seen_by_the_next_poll() -> None:
    told = targets(lambda second: 160.0 if second >= 35 else 0.0, 120)
    assert told[59] == 0
    assert told[60] == 5
    assert told[75] == 10


def test_fewer_replicas_come_only_when_five_minutes_asked_for_no_more() -> None:
    told = targets(lambda second: 160.0 if second < 600 else 32.0, 1200, target=10)
    assert set(told[:900]) == {10}
    assert told[930] == 2


def test_a_model_sleeps_five_minutes_after_its_last_work() -> None:
    told = targets(lambda second: 16.0 if second < 600 else 0.0, 1200, target=1)
    assert told[880] == 1
    assert told[930] == 0


def test_one_replica_stays_where_none_is_too_few() -> None:
    config = CONFIG._replace(min_replicas=2)
    assert set(targets(lambda second: 0.0, 1500, config=config, target=2)) == {2}


def test_without_any_number_nothing_changes() -> None:
    assert set(targets(lambda second: 0.0, 1500, target=7, lost=1.0)) == {7}


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=50), st.integers(0, 3), st.integers(3, 40))
def test_the_bounds_hold(numbers: list[float], least: int, most: int) -> None:
    config = CONFIG._replace(min_replicas=least, max_replicas=most)
    told = targets(
        lambda second: numbers[second // 20 % len(numbers)], 20 * len(numbers) + 60, config=config, target=least
    )
    assert least <= min(told)
    assert max(told) <= most
