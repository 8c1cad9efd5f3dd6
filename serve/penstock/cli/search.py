"""`penstock search`: find models on the hub, with their sizes, and whether they fit here."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from penstock.cli.exits import FAILED
from penstock.cli.inputs import Files, Sets
from penstock.cli.weights_here import Listed, Seen, fit_text, listed, settings_of
from penstock.config.units import format_bytes


class _Line(Listed):
    """A model that was found."""

    parameters: int | None = None
    downloads: int | None = None
    gated: bool = False
    task: str | None = None


def search(
    words: Annotated[list[str], typer.Argument(help="Words that the model's name has.", metavar="TEXT")],
    *,
    limit: Annotated[int, typer.Option(help="Models at most.", min=1, max=100)] = 20,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody outside; look in the cache only.")] = False,
    files: Files = None,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find models on the hub, with their sizes, and whether they fit on this machine.

    Those that are fetched most come first. Ends with 1 where there is none.

    Example: penstock search qwen3 0.6b
    """
    from penstock.engine import weights  # noqa: PLC0415  # takes a second to import

    settings, seen, text = settings_of(files, sets), Seen.here(), " ".join(words)
    if offline:
        here = listed(weights.contents(settings), seen)
        found = [
            _Line(**line.model_dump()) for line in here if all(word.lower() in line.source.lower() for word in words)
        ]
    else:
        found = [
            _Line(
                source=model.source,
                size=model.tensors,
                parameters=model.parameters,
                downloads=model.downloads,
                gated=bool(model.gated),
                task=model.pipeline_tag,
                **seen.fit_of(model.tensors),
            )
            for model in weights.search(text, settings.hub, limit=limit)
        ]
    if as_json:
        typer.echo(TypeAdapter(list[_Line]).dump_json(found, indent=2).decode())
    else:
        _print(found, text, offline=offline)
    if not found:
        raise typer.Exit(FAILED)


def _print(found: list[_Line], text: str, *, offline: bool) -> None:
    console = Console(highlight=False)
    if offline:
        console.print("Offline: only the cache of this machine was looked at.", style="dim")
    if not found:
        where = "The cache of this machine" if offline else "The hub"
        console.print(f"{where} has no model whose name has {text!r}. Try fewer or other words.", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    for name in ("size", "downloads"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("for", overflow="fold")
    table.add_column("fits here", overflow="fold")
    for line in found:
        told = Text(line.source)
        if line.gated:
            told.append(" (gated)", "yellow")
        table.add_row(
            told,
            format_bytes(line.size) if line.size else "?",
            f"{line.downloads:,}" if line.downloads is not None else "",
            line.task or "",
            fit_text(line),
        )
    console.print(table)
    if not offline:
        console.print(f"\nFetch one: penstock pull --model {found[0].source}", style="dim", soft_wrap=True)
