"""Whether a model's weights fit on this machine, in a few words. Pure; used by `penstock search` and `list`."""

from __future__ import annotations

from typing import Final, NamedTuple

from penstock.config.units import format_bytes
from penstock.doctor.checks.memory import usable
from penstock.doctor.checks.needs import BASE, UTILIZATION
from penstock.doctor.facts import Gpus, Memory

_BESIDE_ON_GPU: Final = 2 * 2**30
"""Bytes of each GPU beside the weights: what a step needs, and a KV cache for a few thousand tokens."""
_KV_ON_CPU: Final = 2**30


class Fit(NamedTuple):
    """`fits` is None where nobody can tell."""

    fits: bool | None
    said: str


def fit(tensors: int | None, gpus: Gpus, memory: Memory) -> Fit:
    """Whether one replica of a model fits.

    Args:
        tensors: bytes of its weights; None where they are not known.
    """
    if not tensors:
        return Fit(None, "not known")
    if gpus.found:
        return _on_gpus(tensors, gpus)
    total = usable(memory)
    if total is None:
        return Fit(None, "not known")
    needed = BASE + tensors + _KV_ON_CPU
    if needed <= total:
        return Fit(True, "yes, on the CPU")
    return Fit(False, f"no: needs {format_bytes(needed)} of memory, here are {format_bytes(total)}")


def _on_gpus(tensors: int, gpus: Gpus) -> Fit:
    each = int(UTILIZATION * min(gpu.total for gpu in gpus.found))
    number = 1
    # Models are cut into powers of two.
    while number <= len(gpus.found):
        if tensors / number + _BESIDE_ON_GPU <= each:
            return Fit(True, f"yes, on {number} GPU{'' if number == 1 else 's'}")
        number *= 2
    room = f"{len(gpus.found)} GPU{'' if len(gpus.found) == 1 else 's'} of {format_bytes(gpus.found[0].total)}"
    return Fit(False, f"no: {format_bytes(tensors)} of weights, here are {room}")
