"""How far downloads are: bars on a terminal, a line now and then elsewhere. Used by `penstock pull`."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from penstock.config.units import format_bytes
from penstock.engine.weights import Progress as Step

LINE_EVERY = 5.0
"""Seconds between two lines where there is no terminal."""


class Display:
    """A bar per model, from `begin` to `end`."""

    def __init__(
        self, console: Console, *, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if console.is_terminal if terminal is None else terminal:
            self._bars = Progress(
                SpinnerColumn(finished_text="✓"),
                TextColumn("[bold]{task.description}", markup=True),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=console,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str) -> Callable[[Step], None]:
        """What to call with each step of this model's download."""
        if self._bars is None:
            return self._lines(name)
        bars, task = self._bars, self._bars.add_task(name, total=None)
        self._tasks[name] = task
        arrived: list[int] = []

        def report(step: Step) -> None:
            if not arrived:
                # What was there before must not count as speed.
                bars.reset(task, total=step.total, completed=step.done)
                arrived.append(step.done)
            bars.update(task, total=step.total, completed=step.done)

        return report

    def end(self, name: str, *, done: bool = True) -> None:
        """The model's download is over."""
        if self._bars is None or (task := self._tasks.pop(name, None)) is None:
            return
        if done:
            seen = next(found for found in self._bars.tasks if found.id == task)
            self._bars.update(
                task, total=seen.total or seen.completed or 1, completed=seen.total or seen.completed or 1
            )
        self._bars.stop_task(task)

    def say(self, text: str, *, remedy: str | None = None) -> None:
        """A line that stays."""
        line = Text(text)
        if remedy:
            line.append("\n   do: ", "bold green").append(remedy)
        self._console.print(line, soft_wrap=True)

    def _lines(self, name: str) -> Callable[[Step], None]:
        last = [self._clock() - LINE_EVERY]

        def report(step: Step) -> None:
            whole = step.total is not None and step.done >= step.total
            if not whole and self._clock() - last[0] < LINE_EVERY:
                return
            last[0] = self._clock()
            of = f" of {format_bytes(step.total)}" if step.total is not None else ""
            self._console.print(Text(f"{name}: {format_bytes(step.done)}{of}"), soft_wrap=True)

        return report
