"""`penstock list`: what is in the cache of weights, how large it is, and whether it fits here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from penstock.cli.inputs import Files, Sets
from penstock.cli.weights_here import Listed, Seen, fit_text, listed, settings_of
from penstock.config.units import format_bytes


def listing(
    *,
    files: Files = None,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the weights in this machine's cache: their sizes, when they were used last, and whether they fit here.

    Example: penstock list
    """
    from penstock.engine import weights  # noqa: PLC0415  # takes a second to import

    settings = settings_of(files, sets)
    found = listed(weights.contents(settings), Seen.here())
    if as_json:
        typer.echo(TypeAdapter(list[Listed]).dump_json(found, indent=2).decode())
        return
    console = Console(highlight=False)
    if not found:
        console.print(
            f"There are no weights in {settings.cache}. Fetch some: penstock pull --model hf://Qwen/Qwen3-0.6B",
            soft_wrap=True,
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=len(found) > 1)
    table.add_column("model", "all", overflow="fold")
    table.add_column("size", format_bytes(sum(line.size or 0 for line in found)), justify="right", no_wrap=True)
    table.add_column("used last", no_wrap=True)
    table.add_column("fits here", overflow="fold")
    for line in found:
        shown = line.source if line.whole else f"{line.name} (not whole: penstock pull goes on)"
        table.add_row(shown, format_bytes(line.size or 0), _when(line), fit_text(line))
    console.print(table)
    console.print(f"\nThey are in {settings.cache}. Remove one: penstock rm NAME", style="dim", soft_wrap=True)


def _when(line: Listed) -> str:
    if line.in_use:
        return "in use"
    return f"{datetime.fromtimestamp(line.used or 0.0, UTC):%Y-%m-%d %H:%M}"
