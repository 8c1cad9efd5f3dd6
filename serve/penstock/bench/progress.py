"""A progress bar for a run. Used by `penstock bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from penstock.bench import figures, runner


@contextmanager
def live_progress(console: Console) -> Iterator[Callable[[runner.Progress], None]]:
    """`with live_progress(console) as on_progress:` shows slots done and left, and what the last one gave."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    # Drawn only when a slot has ended: a thread that draws meanwhile would take time from what is measured.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("Warming up", total=None, last="")

        def on_progress(progress: runner.Progress) -> None:
            slot = progress.slot
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description="Warming up" if progress.warm_up else "Measuring",
                last=f"{slot.target}, {slot.concurrency} streams: {figures.number(slot.tokens_per_second)} tokens/s",
                refresh=True,
            )

        yield on_progress
