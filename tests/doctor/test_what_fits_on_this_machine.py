"""Whether a model fits on a machine, in a few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.doctor.checks.fit import fit
from penstock.doctor.facts import Gpu, Gpus, Memory

GIB = 2**30


def gpus(number: int, each: int = 24) -> Gpus:
    return Gpus(tuple(Gpu(index, "L4", each * GIB, each * GIB) for index in range(number)))


@pytest.mark.parametrize(
    ("tensors", "cards", "memory", "fits", "said"),
    [
        (None, gpus(1), 64, None, "not known"),
        (0, gpus(0), 64, None, "not known"),
        (1 * GIB, gpus(0), None, None, "not known"),
        (1 * GIB, gpus(0), 16, True, "yes, on the CPU"),
        (14 * GIB, gpus(0), 16, False, "no: needs 17.7 GiB of memory, here are 16.0 GiB"),
        (14 * GIB, gpus(1), 16, True, "yes, on 1 GPU"),
        (30 * GIB, gpus(2), 16, True, "yes, on 2 GPUs"),
        (50 * GIB, gpus(3), 16, False, "no: 50.0 GiB of weights, here are 3 GPUs of 24.0 GiB"),
        (50 * GIB, gpus(4), 16, True, "yes, on 4 GPUs"),
        (30 * GIB, gpus(1), 999, False, "no: 30.0 GiB of weights, here are 1 GPU of 24.0 GiB"),
    ],
)
def test_what_is_said_of_a_machine(
    tensors: int | None, cards: Gpus, memory: int | None, fits: bool | None, said: str
) -> None:
    found = fit(tensors, cards, Memory(total=memory * GIB if memory else None))
    assert (found.fits, found.said) == (fits, said)


@given(st.integers(1, 200 * GIB), st.integers(0, 200 * GIB), st.integers(0, 8), st.integers(1, 256))
def test_what_fits_is_not_stopped_by_less(tensors: int, less: int, number: int, memory: int) -> None:
    seen = Memory(total=memory * GIB)
    if fit(tensors, gpus(number), seen).fits:
        assert fit(max(1, tensors - less), gpus(number), seen).fits
