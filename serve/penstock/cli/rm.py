"""`penstock rm`: take weights out of this machine's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.inputs import Files, Sets
from penstock.cli.weights_here import settings_of
from penstock.config import Source, parse_source
from penstock.config.suggest import nearest
from penstock.config.units import format_bytes
from penstock.errors import WeightsError

if TYPE_CHECKING:
    from penstock.engine.weights import Kept


def rm(
    names: Annotated[
        list[str], typer.Argument(help="Models as `penstock list` shows them, with or without their version.")
    ],
    *,
    files: Files = None,
    sets: Sets = None,
) -> None:
    """Take weights out of this machine's cache. Nothing is removed where one of the names fits nothing, or is in use.

    Example: penstock rm hf://Qwen/Qwen3-0.6B
    """
    from penstock.engine import weights  # noqa: PLC0415  # takes a second to import

    settings = settings_of(files, sets)
    kept = weights.contents(settings)
    wanted: dict[str, Kept] = {}
    for name in names:
        found = weights.fitting(name, kept, _source(name), settings)
        if not found:
            raise _unknown(name, kept)
        wanted |= {item.name: item for item in found}
    for item in wanted.values():
        weights.check_free(item)
    for item in wanted.values():
        weights.remove(item, settings)
        typer.echo(f"removed {item.source or item.name} ({format_bytes(item.size)})")


def _source(text: str) -> Source | None:
    try:
        return parse_source(text) if "://" in text else None
    except ValueError:
        return None


def _unknown(name: str, kept: list[Kept]) -> WeightsError:
    known = [item.source.partition("@")[0] or item.name for item in kept]
    hint = nearest(name, [*known, *(source.rpartition("/")[2] for source in known)])
    guess = f" Did you mean {hint!r}?" if hint else ""
    return WeightsError(
        f"There is no {name!r} in the cache.{guess}",
        remedy="`penstock list` shows what there is." if known else "The cache is empty: there is nothing to remove.",
    )
