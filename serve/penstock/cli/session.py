"""Where the running Penstock of this machine says how to reach it: written by `up`, read by the other commands."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from penstock.environment import state_directory
from penstock.errors import NotRunningError


class Session(BaseModel):
    """One `penstock up`."""

    pid: int
    created: float
    """When the process was created, seconds since the epoch: a pid alone may be another's by now."""
    ray_address: str
    url: str

    @property
    def alive(self) -> bool:
        try:
            return abs(psutil.Process(self.pid).create_time() - self.created) < 1
        except psutil.Error:
            return False


def own(ray_address: str, url: str) -> Session:
    """The session of this process."""
    process = psutil.Process()
    return Session(pid=process.pid, created=process.create_time(), ray_address=ray_address, url=url)


def write(session: Session) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(session.model_dump_json(), encoding="utf-8")
    partial.replace(path)


def remove() -> None:
    with contextlib.suppress(OSError):
        _path().unlink()


def running() -> Session | None:
    """The session of a live `penstock up`, or None."""
    try:
        session = Session.model_validate_json(_path().read_bytes())
    except (OSError, ValidationError):
        return None
    return session if session.alive else None


def find() -> Session:
    """Like `running`. Raises NotRunningError where there is none."""
    if (session := running()) is None:
        raise NotRunningError("Penstock is not running on this machine.", remedy="Start it with: penstock up")
    return session


def _path() -> Path:
    return state_directory() / "up.json"
