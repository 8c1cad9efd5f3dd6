"""Memory, processors, disks, limits and ports of this machine, a container's share counted."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import socket
from pathlib import Path

import psutil

from penstock.doctor.facts import Disk, Memory, OpenFiles, Port

CGROUP = Path("/sys/fs/cgroup")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # looked at, not written
_UNLIMITED = 2**60
"""The first version of cgroups says "no limit" with a number near this."""


def memory(cgroup: Path = CGROUP) -> Memory:
    """The machine's memory, and the container's limit where there is one."""
    limit = _first(cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes")
    used = _first(cgroup / "memory.current", cgroup / "memory" / "memory.usage_in_bytes")
    try:
        seen = psutil.virtual_memory()
    except (OSError, psutil.Error, RuntimeError):
        return Memory(limit=limit, limit_used=used if limit is not None else None)
    if limit is not None and used is not None:
        # What the kernel keeps of files counts as used, though it goes when somebody needs the memory.
        used = max(used - _reclaimable(cgroup / "memory.stat"), 0)
    return Memory(seen.total, seen.available, limit, used if limit is not None else None)


def cores(cgroup: Path = CGROUP) -> float | None:
    """Cores that this process may use."""
    try:
        allowed = float(len(os.sched_getaffinity(0)))
    except (AttributeError, OSError):
        counted = os.cpu_count()
        if counted is None:
            return None
        allowed = float(counted)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            return min(allowed, int(quota) / int(period))
    return allowed


def disk(path: str) -> Disk | None:
    """The file system that a folder is on, or would be on."""
    try:
        folder = Path(path).expanduser().absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        usage = shutil.disk_usage(folder)
    except (OSError, RuntimeError, ValueError):
        return None
    return Disk(path, usage.total, usage.free, writable=folder.is_dir() and os.access(folder, os.W_OK | os.X_OK))


def open_files() -> OpenFiles | None:
    """The limit of this process, which those that it starts inherit."""
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (OSError, ValueError):
        return None
    return OpenFiles(*(None if limit == resource.RLIM_INFINITY else limit for limit in (soft, hard)))


def port(host: str, number: int) -> Port:
    """Whether the gateway could listen there: tried, and given back at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((host, number))
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        pid, name = _holder(number) if taken else (None, "")
        said = getattr(error, "strerror", None) or str(error)
        return Port(host, number, error=said, taken=taken, holder_pid=pid, holder=name)
    return Port(host, number)


def _holder(number: int) -> tuple[int | None, str]:
    """Who listens on a port, as far as this user may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:2] == (number,) and connection.pid:
                return connection.pid, psutil.Process(connection.pid).name()
    return None, ""


def _first(*paths: Path) -> int | None:
    """The number in the first of these files that holds one that is a limit."""
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            number = int(path.read_text(encoding="ascii"))
            return number if number < _UNLIMITED else None
    return None


def _reclaimable(stat: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        lines = dict(line.split() for line in stat.read_text(encoding="ascii").splitlines())
        return int(lines.get("inactive_file", 0))
    return 0
