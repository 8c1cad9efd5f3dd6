"""`penstock pull`: fetch the weights of the document's models into the cache of this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from penstock.cli import exits
from penstock.cli.inputs import Files, ModelSource, Sets, document
from penstock.cli.naming import model_named
from penstock.cli.pull_progress import Display
from penstock.cli.waiting import Stop
from penstock.config import Document, Model, parse_source
from penstock.errors import WeightsError


def pull(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models of the document; all of them if none is named.", metavar="NAME"),
    ] = None,
    files: Files = None,
    sets: Sets = None,
    model: ModelSource = None,
) -> None:
    """Fetch the weights of the document's models, and print where they are.

    A download that was cut goes on where it stopped: run it again. Ctrl-C stops it and keeps what has arrived.

    Example: penstock pull -f penstock.yaml

    Example: penstock pull --model hf://Qwen/Qwen3-0.6B
    """
    wanted = document(files, sets, model)
    models = [model_named(wanted, name) for name in names] if names else list(wanted.models.items())
    stop = Stop()
    with stop.on_signals():
        failed = _fetch_all(wanted, dict(models), stop)
    if stop.asked:
        raise typer.Exit(exits.INTERRUPTED)
    if failed:
        # Each was told when it happened.
        raise typer.Exit(exits.status_of(failed[-1]))


def _fetch_all(wanted: Document, models: dict[str, Model], stop: Stop) -> list[WeightsError]:
    from penstock.engine.weights import FetchCancelledError, fetch  # noqa: PLC0415  # takes a second to import

    failed: list[WeightsError] = []
    with Display(Console(stderr=True, highlight=False)) as display:
        for name, model in models.items():
            if stop.asked:
                break
            if model.source is None or model.engine == "simulator":
                display.say(f"{name}: the {model.engine} needs no weights.")
                continue
            try:
                report = display.begin(name)
                with fetch(
                    parse_source(model.source), wanted.weights, report=report, cancelled=lambda: stop.asked
                ) as held:
                    display.end(name)
                    typer.echo(f"{name}\t{held.path}")
            except FetchCancelledError:
                display.end(name, done=False)
                display.say(f"{name}: stopped. What has arrived is kept; penstock pull goes on where it stopped.")
            except WeightsError as error:
                display.end(name, done=False)
                display.say(f"{name}: {error.message}", remedy=error.remedy)
                failed.append(error)
    return failed
