"""Weights that are on the machine already: `file://` and `pvc://`. Checked and used in place, never copied.

The same check runs over what was downloaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from penstock.config import Source, Weights
from penstock.engine.weights.files import Listing, RemoteFile
from penstock.engine.weights.names import is_safe_path
from penstock.engine.weights.select import missing_from_model, select
from penstock.errors import WeightsError

_POINTER = b"version https://git-lfs"
_SINGLE_FILES = {".gguf"}


def local_path(source: Source, settings: Weights) -> Path:
    """Where a `file` or `pvc` source lies; not yet checked. Raises WeightsError for a path that leaves its claim."""
    if source.scheme == "file":
        return Path(source.location).expanduser()
    inside = "/".join(part for part in (source.location, source.path) if part)
    if not is_safe_path(inside):
        raise WeightsError(f"{source} leads out of its claim.", remedy="Write pvc://claim/path without . and ..")
    claim = Path(settings.claims) / source.location
    if not claim.is_dir():
        raise WeightsError(
            f"The claim {source.location!r} is not mounted: there is no folder {claim}.",
            remedy="Mount the persistent volume claim there, or name the folder of claims as weights.claims.",
        )
    return Path(settings.claims) / inside


def check_model(path: Path, *, name: str) -> None:
    """Raises WeightsError that says what keeps a folder (or a .gguf file) from being a model. `name` is for it."""
    try:
        if path.is_file() and path.suffix in _SINGLE_FILES:
            _check_readable([path], name)
            return
        if not path.is_dir():
            raise _not_a_folder(path, name)
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
    except PermissionError as error:
        raise _unreadable(name, error.filename or path) from None
    except OSError as error:
        raise WeightsError(f"{name} cannot be read: {error.strerror}.") from None
    if missing := missing_from_model(names):
        hint = " Its versions lie in the folder snapshots: name one of them." if (path / "snapshots").is_dir() else ""
        raise WeightsError(
            f"{name} is no model that vLLM loads: it lacks {missing}.{hint}",
            remedy="Name the folder that holds config.json and the weights.",
        )
    needed = [path / name for name in sorted(names) if not name.startswith(".")]
    _check_readable(needed, name)
    if absent := _absent_shards(path):
        raise WeightsError(
            f"{name} is not whole: its index names {', '.join(absent[:3])}"
            + (f" and {len(absent) - 3} more files" if len(absent) > 3 else "")
            + ", which are not there.",
            remedy="Copy or download the rest.",
        )


def list_local(source: Source, settings: Weights) -> Listing:
    """The files of a checked `file` or `pvc` source."""
    path = local_path(source, settings)
    check_model(path, name=str(source))
    needed, skipped = select(_files(path)) if path.is_dir() else (list(_files(path)), [])
    return Listing(source, None, tuple(needed), tuple(skipped), cached=True)


def _files(path: Path) -> Iterator[RemoteFile]:
    found = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for item in found:
        relative = item.name if item == path else item.relative_to(path).as_posix()
        yield RemoteFile(relative, item.stat().st_size)


def _check_readable(files: list[Path], name: str) -> None:
    for file in files:
        if not os.access(file, os.R_OK):
            raise _unreadable(name, file)
        if file.suffix in {".safetensors", ".bin", ".gguf"} and file.stat().st_size < 1024:
            with file.open("rb") as content:
                if content.read(len(_POINTER)) == _POINTER:
                    raise WeightsError(
                        f"{name} was cloned without its weights: {file.name} is a pointer of Git LFS.",
                        remedy="Fetch them: `git lfs pull` in that folder.",
                    )


def _absent_shards(path: Path) -> list[str]:
    for index in sorted(path.glob("*.index.json")):
        stem = index.name.removesuffix(".index.json")
        if not stem.endswith((".safetensors", ".bin")):
            continue
        try:
            named = set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        # An index of weights that were left out on purpose names none of the files that are there.
        absent = sorted(str(name) for name in named if not (path / str(name)).is_file())
        if absent and len(absent) < len(named):
            return absent
    return []


def _not_a_folder(path: Path, name: str) -> WeightsError:
    if path.is_file():
        return WeightsError(
            f"{name} is a file, not a folder with a model.", remedy="Name the folder that holds config.json."
        )
    return WeightsError(f"{name} does not exist.", remedy=f"Check the path; it was looked for at {path}.")


def _unreadable(name: str, what: Path | str) -> WeightsError:
    return WeightsError(
        f"{name} cannot be read: permission denied for {what}.",
        remedy="Make it readable for this user: `chmod -R a+rX` on the folder. (safetensors writes files as 0600.)",
    )
