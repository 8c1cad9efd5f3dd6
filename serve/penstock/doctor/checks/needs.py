"""What the models of a document need of a machine: engines, GPUs, memory. Pure; shared by the checks and by
`penstock plan`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock.config import Document, Model
from penstock.doctor.facts import Facts

BASE = 2_900_000_000
"""Resident bytes of one engine on a CPU beside its weights: three processes, measured with a tiny model."""
UTILIZATION = 0.92
"""The share of a device's memory that vLLM 0.32 takes where nothing else is said; on a CPU, of the machine's."""
GIB = 2**30


class Sized(NamedTuple):
    """A model that runs on vLLM, and what one replica of it takes."""

    name: str
    model: Model
    gpus: int
    tensors: int | None
    """Bytes of its weights; None where they are not known."""

    @property
    def options(self) -> dict[str, object]:
        """Options by their names with underscores."""
        return {name.lstrip("-").replace("-", "_"): value for name, value in self.model.options.items()}

    @property
    def utilization(self) -> float:
        """The share of memory that its engine takes."""
        return _share(self.options.get("gpu_memory_utilization"))

    @property
    def kv_cache(self) -> int | None:
        """Bytes that the document gives to its KV cache; None where vLLM decides, by `utilization`."""
        given = _number(self.options.get("kv_cache_memory_bytes"))
        space = _number(self.model.env.get("VLLM_CPU_KVCACHE_SPACE"))
        if self.gpus == 0 and space is not None:
            return int(space * GIB)
        return None if given is None else int(given)


def sized(document: Document, facts: Facts) -> list[Sized]:
    """The models of the document that run on vLLM."""
    return sized_by(
        document, {found.model: found.tensors for found in facts.weights if found.tensors and not found.error}
    )


def sized_by(document: Document, tensors: Mapping[str, int]) -> list[Sized]:
    """The same, with the bytes of weights by model."""
    return [
        Sized(name, model, document.gpus_of(model), tensors.get(name))
        for name, model in document.models.items()
        if model.engine == "vllm"
    ]


def uses_vllm(facts: Facts) -> bool:
    """Whether a model of the document runs on vLLM. False without a document."""
    return facts.document is not None and bool(sized(facts.document, facts))


def uses_gpu_engine(facts: Facts) -> bool:
    return facts.document is not None and any(found.gpus for found in sized(facts.document, facts))


def uses_cpu_engine(facts: Facts) -> bool:
    return facts.document is not None and any(not found.gpus for found in sized(facts.document, facts))


def _number(value: object) -> float | None:
    """A number that may be written as text; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 2**63 else None


def _share(value: object) -> float:
    number = _number(value)
    return number if number is not None and 0 < number <= 1 else UTILIZATION
