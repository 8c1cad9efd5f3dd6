"""`penstock down`: stop the Penstock of this machine."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Annotated

import psutil
import typer

from penstock.cli import session
from penstock.errors import MachineError

_LOOK = 0.1


def down(
    limit: Annotated[float, typer.Option(help="Seconds to wait for its end.", metavar="SECONDS")] = 60.0,
) -> None:
    """Stop the Penstock of this machine and wait until none of its processes is left.

    Example: penstock down
    """
    running = session.find()
    left: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(running.pid)
        left = [process, *process.children(recursive=True)]
        process.send_signal(signal.SIGTERM)
    end = time.monotonic() + limit
    while (left := [process for process in left if _is_there(process)]) and time.monotonic() < end:
        time.sleep(_LOOK)
    if left:
        told = ", ".join(f"{p.pid} ({_name(p)})" for p in left)
        raise MachineError(
            f"After {limit:g} s these processes are still there: {told}.",
            remedy="Run penstock down again to cut running requests.",
        )
    session.remove()
    typer.echo("stopped")


def _is_there(process: psutil.Process) -> bool:
    """A process whose parent has not asked for its end yet is gone all the same."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return process.name()
    return "?"
