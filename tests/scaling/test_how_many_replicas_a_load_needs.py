"""The scaling decision."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.scaling.policy import Load, desired_replicas

LOADS = st.builds(Load, st.floats(0, 1e6), st.floats(0, 1e6))
BOUNDS = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda pair: (min(pair), max(*pair, 1)))


@given(LOADS, st.integers(1, 100), BOUNDS)
def test_it_stays_within_its_bounds(load: Load, target: int, bounds: tuple[int, int]) -> None:
    least, most = bounds
    assert least <= desired_replicas(load, target=target, least=least, most=most) <= most


@given(LOADS, st.floats(0, 1000), st.integers(1, 100), BOUNDS)
def test_more_load_never_needs_fewer(load: Load, more: float, target: int, bounds: tuple[int, int]) -> None:
    least, most = bounds
    heavier = Load(load.in_engines, load.waiting + more)
    before = desired_replicas(load, target=target, least=least, most=most)
    assert desired_replicas(heavier, target=target, least=least, most=most) >= before


def test_one_waiting_request_wakes_a_model_and_none_lets_it_sleep() -> None:
    assert desired_replicas(Load(0, 1), target=16, least=0, most=4) == 1
    assert desired_replicas(Load(0, 0), target=16, least=0, most=4) == 0


def test_each_replica_gets_the_target() -> None:
    assert desired_replicas(Load(33, 0), target=16, least=0, most=9) == 3
