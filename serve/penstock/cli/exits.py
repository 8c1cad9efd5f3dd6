"""What a command's exit status means, and the one place where errors become text on the terminal."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.text import Text

from penstock.environment import state_directory
from penstock.errors import (
    DocumentError,
    EngineError,
    MachineError,
    NotRunningError,
    PenstockError,
    WeightsError,
)

FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130

_STATUS: tuple[tuple[type[PenstockError], int], ...] = (
    (DocumentError, WRONG_USE),
    (MachineError, 3),
    (NotRunningError, 4),
    (EngineError, 5),
    (WeightsError, 5),
)


def status_of(error: PenstockError) -> int:
    """2 the document or the command line, 3 the machine, 4 nothing is running, 5 the engine or its weights, else 1."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), FAILED)


def tell(error: PenstockError) -> int:
    """Print an error for people; its exit status."""
    console = Console(stderr=True, highlight=False)
    console.print(Text("error: ", style="bold red") + Text(error.message))
    if error.remedy:
        console.print(Text("   do: ", style="bold green") + Text(error.remedy))
    return status_of(error)


def tell_of_use(error: Exception) -> int:
    """A command line that cannot be understood."""
    if callable(show := getattr(error, "show", None)):
        show()
    else:
        print(f"error: {error}", file=sys.stderr)
    return WRONG_USE


def tell_of_defect(error: BaseException) -> int:
    """An error that nobody foresaw: one line on the terminal, the traceback in a file."""
    path = _keep_traceback(error)
    where = f" Details are in {path}; please report them." if path else ""
    print(f"error: a defect of Penstock: {type(error).__name__}: {error}.{where}", file=sys.stderr)
    return FAILED


def _keep_traceback(error: BaseException) -> Path | None:
    try:
        directory = state_directory()
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / time.strftime("defect-%Y%m%d-%H%M%S.txt")
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path
