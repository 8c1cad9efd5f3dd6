"""The end of an engine's log, from Ray's folder of logs on this machine. Thin; used by `deployment`."""

from __future__ import annotations

import os
from pathlib import Path

from ray._private import worker

_READ = 2**16


def last_lines(replica: str) -> list[str] | None:
    """The end of a replica's log, at most 64 KiB; None where it does not lie on this machine."""
    node = worker._global_node  # noqa: SLF001  # Ray has no public way to ask
    if node is None:
        return None
    # Ids of replicas come from the board; none of them may name another file.
    if not replica.isalnum():
        return None
    for path in Path(node.get_logs_dir_path()).glob(f"engine-*-{replica}.log"):
        try:
            return _end(path)
        except OSError:
            return None
    return None


def _end(path: Path) -> list[str]:
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - _READ))
        lines = log.read().decode("utf-8", "replace").splitlines()
    return lines[1:] if size > _READ else lines
