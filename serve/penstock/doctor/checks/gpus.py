"""GPUs against the models that want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from penstock.config.units import format_bytes
from penstock.doctor.checks.needs import Sized, sized
from penstock.doctor.facts import Facts, Gpu
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

_LEAST_CACHE = 0.1
"""Share of a GPU's memory that should be left to the KV cache: below it few requests run side by side."""


def gpus(facts: Facts) -> Iterator[Finding]:
    """How many there are, whether they suffice, and whether the weights fit."""
    wanted = [found for found in sized(facts.document, facts) if found.gpus] if facts.document else []
    found = facts.gpus.found
    if not found:
        yield from _none(facts, wanted)
        return
    yield ok("gpus", _described(found))
    if not wanted:
        return
    yield from _enough(wanted, len(found))
    smallest = min(found, key=lambda gpu: gpu.total)
    for model in wanted:
        yield from _fits(model, smallest)
    if not facts.running:
        yield from _occupied(wanted, found)


def _none(facts: Facts, wanted: Sequence[Sized]) -> Iterator[Finding]:
    why = facts.gpus.error or "nvidia-smi is not there"
    for model in wanted:
        yield problem(
            "gpus",
            f"{model.name} runs on hardware {model.model.hardware!r} with {_count(model.gpus)} per replica, and this"
            f" machine shows none: {why}.",
            f"Install NVIDIA's driver and check it with nvidia-smi, or run the model on hardware: cpu."
            f" For a rehearsal: --set models.{model.name}.engine=simulator",
        )
    if not wanted and facts.gpus.error:
        yield warning("gpus", f"GPUs could not be counted: {facts.gpus.error}.", "See what nvidia-smi says.")
    elif not wanted:
        yield skipped("gpus", "There is none that nvidia-smi shows, and no model of the document needs one.")


def _described(found: Sequence[Gpu]) -> str:
    kinds = sorted({(gpu.name, gpu.total) for gpu in found})
    told = "; ".join(
        f"{sum((gpu.name, gpu.total) == kind for gpu in found)} × {kind[0]} with {format_bytes(kind[1])}"
        for kind in kinds
    )
    return f"{told}; driver {found[0].driver or 'unknown'}."


def _enough(wanted: Sequence[Sized], there: int) -> Iterator[Finding]:
    at_start = sum(model.gpus * max(model.model.replicas.min, 1) for model in wanted)
    at_most = sum(model.gpus * model.model.replicas.max for model in wanted)
    told = ", ".join(f"{model.name} {model.gpus} × {max(model.model.replicas.min, 1)}" for model in wanted)
    fewer = "Lower gpus or replicas of a model, or add GPUs."
    if at_start > there:
        yield problem("gpus", f"The models need {_count(at_start)} ({told}); there {_are(there)}.", fewer)
    elif at_most > there:
        yield warning(
            "gpus",
            f"With all replicas that it allows the document needs {_count(at_most)}; there {_are(there)}.",
            fewer,
        )


def _fits(model: Sized, gpu: Gpu) -> Iterator[Finding]:
    subject = f"gpu memory of {model.name}"
    if model.tensors is None:
        yield skipped(subject, "The size of its weights is not known.")
        return
    each = model.tensors / model.gpus
    room = gpu.total * model.utilization
    say = (
        f"{format_bytes(model.tensors)} of weights on {_count(model.gpus)} of {format_bytes(gpu.total)}, of which"
        f" vLLM takes {model.utilization:.0%}"
    )
    remedy = "Give the replica more gpus, use a quantised model, or larger GPUs."
    if each > room:
        yield problem(subject, f"{say}: they do not fit.", remedy)
    elif room - each < gpu.total * _LEAST_CACHE:
        left = format_bytes(room - each)
        yield warning(subject, f"{say}: only {left} is left for the KV cache.", f"Lower max_model_len. {remedy}")
    else:
        yield ok(subject, f"{say}: {format_bytes(room - each)} is left for the KV cache.")


def _occupied(wanted: Sequence[Sized], found: Sequence[Gpu]) -> Iterator[Finding]:
    """vLLM ends where its share of a GPU's memory is not free at its start."""
    share = min(model.utilization for model in wanted)
    taken = [gpu for gpu in found if gpu.free < gpu.total * share]
    if taken:
        told = ", ".join(
            f"GPU {gpu.index} has {format_bytes(gpu.free)} of {format_bytes(gpu.total)} free" for gpu in taken
        )
        needed = min(model.gpus * max(model.model.replicas.min, 1) for model in wanted)
        judge = problem if len(found) - len(taken) < needed else warning
        yield judge(
            "gpus",
            f"{told}; vLLM wants {share:.0%} of it free.",
            "See with nvidia-smi who uses it and end it, or lower gpu_memory_utilization under the model's options.",
        )


def _count(number: int) -> str:
    return f"{number} GPU" if number == 1 else f"{number} GPUs"


def _are(number: int) -> str:
    return f"is {number}" if number == 1 else f"are {number}"
