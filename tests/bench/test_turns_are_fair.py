"""The order of the targets within the rounds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from penstock.bench.rotation import turns

counts = st.integers(1, 6)


@given(counts, st.integers(0, 1000))
def test_every_round_has_every_target_once(count: int, number: int) -> None:
    assert sorted(turns(range(count), number)) == list(range(count))


@given(counts, st.integers(0, 20))
def test_over_two_cycles_every_target_has_every_place_equally_often(count: int, cycle: int) -> None:
    rounds = [turns(range(count), number) for number in range(2 * count * cycle, 2 * count * (cycle + 1))]
    places = Counter((target, place) for order in rounds for place, target in enumerate(order))
    assert set(places.values()) == {2}


@given(counts)
def test_over_two_cycles_each_comes_before_each_other_equally_often(count: int) -> None:
    rounds = [turns(range(count), number) for number in range(2 * count)]
    before = Counter(
        (one, other) for order in rounds for place, one in enumerate(order) for other in order[place + 1 :]
    )
    assert all(before[one, other] == before[other, one] for one, other in before)


def test_two_targets_begin_and_end_alternately() -> None:
    assert [turns("AB", number)[0] for number in range(4)] == ["A", "B", "B", "A"]


def test_nobody_has_no_turn() -> None:
    assert turns([], 3) == []
