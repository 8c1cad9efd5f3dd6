"""The only place where environment variables are read. Everything else gets values passed.

Read at call time, never at import, so that a process can be given another environment.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

ENGINE_TOKEN = "PENSTOCK_ENGINE_TOKEN"  # noqa: S105  # the name of a variable, not its value
"""Token that an engine process asks of its callers. In the environment because a command line is seen by everyone."""

STATE_DIRECTORY = "PENSTOCK_STATE_DIR"
"""Folder in which a running Penstock of this machine notes how to reach it."""


LEAVING_FILE = "PENSTOCK_LEAVING_FILE"
"""File whose being there tells the gateways of a pod that the pod stops."""


def variable(name: str) -> str | None:
    """The value of a variable that the document or a protocol names; empty counts as not set."""
    return os.environ.get(name) or None


def inherited() -> Mapping[str, str]:
    """A copy of the whole environment, for processes that we start."""
    return dict(os.environ)


def engine_token() -> str | None:
    """The token that this engine process was started with."""
    return variable(ENGINE_TOKEN)


def state_directory() -> Path:
    """Where a running Penstock leaves its address. Follows the XDG base directories."""
    if named := variable(STATE_DIRECTORY):
        return Path(named)
    base = variable("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "penstock"


def leaving_file() -> Path | None:
    """The file by which this pod's gateway learns that the pod stops; None where nobody would make one."""
    return Path(named) if (named := variable(LEAVING_FILE)) else None


def prepare_for_ray() -> None:
    """Settings that Ray reads from the environment when it is imported and when it starts processes.

    Call it before the first import of Ray. What the user has set stays. Ray's ports run code for whoever reaches them,
    so they ask for a token: one of this user, kept beside the state of the running Penstock.
    """
    for name, value in _RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if not (variable("RAY_AUTH_TOKEN") or variable("RAY_AUTH_TOKEN_PATH") or variable("RAY_AUTH_MODE") == "disabled"):
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(_own_token())


def _own_token() -> Path:
    path = state_directory() / "ray-token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.touch(mode=0o600)
        partial.write_text(secrets.token_hex(32), encoding="ascii")
        # Whoever comes second finds a whole file, and both use it.
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
        partial.unlink()
    return path


_RAY_SETTINGS = {
    # Ray prints its own notices of lost workers on our terminal; we tell of a lost replica ourselves, with its cause.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    # Two idle workers that we would never use.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray runs its workers, which are our gateways and engines, at niceness 15, behind all else on the machine.
    "RAY_worker_niceness": "0",
    # Load is measured as often as it is reported: twice per look-back period.
    "RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR": "0.5",
}
