"""The gateway's own memory of answers: never more than its bound, and what was asked for longest goes first."""

from __future__ import annotations

import sys
import tracemalloc
from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.cache.memory import MemoryAnswers
from penstock.gateway.cache.stored import Stored

NAMES = [f"{number:064x}" for number in range(6)]
moves = st.lists(
    st.tuples(st.sampled_from(["put", "get"]), st.sampled_from(NAMES), st.integers(1, 3000), st.integers(0, 50)),
    max_size=60,
)


def answer(size: int, made: float = 0.0) -> Stored:
    return Stored(made, ((b"content-type", b"application/json"),), b"x" * size)


@given(st.integers(0, 8000), moves)
def test_no_moves_take_more_than_the_bound(limit: int, moves: list[tuple[str, str, int, int]]) -> None:
    memory = MemoryAnswers(limit)
    model: OrderedDict[str, Stored] = OrderedDict()
    for kind, name, size, moment in moves:
        if kind == "put":
            memory.put(name, stored := answer(size, moment))
            model.pop(name, None)
            if stored.size + sys.getsizeof(name) <= limit:
                model[name] = stored
                while sum(kept.size + sys.getsizeof(key) for key, kept in model.items()) > limit:
                    model.popitem(last=False)
        else:
            found = memory.get(name, since=moment)
            known = model.get(name)
            if known is not None and known.made < moment:
                del model[name]
                known = None
            elif known is not None:
                model.move_to_end(name)
            assert found is known
        assert memory.size == sum(kept.size + sys.getsizeof(key) for key, kept in model.items()) <= limit
        assert len(memory) == len(model)


def test_what_it_counts_is_what_it_takes() -> None:
    memory = MemoryAnswers(2**30)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2000):
            lines = ((b"content-type %d" % number, b"application/json %d" % number),)
            memory.put(f"{number:064x}", Stored(float(number), lines, b"x" * (number % 700)))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= memory.size
