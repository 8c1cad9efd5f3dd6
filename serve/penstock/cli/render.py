"""`penstock render`: what Ray Serve, or one engine, is told because of a document."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any

import typer
import yaml

from penstock.assembly.serve_config import Placement, serve_config
from penstock.cli.inputs import Files, ModelSource, Sets, document
from penstock.cli.naming import model_named
from penstock.config import Document
from penstock.engine.command import Place, engine_command
from penstock.engine.shell import as_shell


def render(
    *,
    files: Files = None,
    sets: Sets = None,
    model: ModelSource = None,
    local: Annotated[bool, typer.Option("--local", help="As `penstock up` does it, not as a cluster does.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="Print the command line of this model's engine instead.", metavar="MODEL")
    ] = None,
) -> None:
    """Print the Ray Serve configuration of a document, as KubeRay's serveConfigV2 takes it.

    Example: penstock render -f penstock.yaml

    Example: penstock render -f penstock.yaml --engine demo
    """
    wanted = document(files, sets, model)
    if engine is not None:
        typer.echo(_engine(wanted, engine))
        return
    config = serve_config(wanted, Placement.LOCAL if local else Placement.CLUSTER)
    if importlib.util.find_spec("ray") is not None:
        from penstock.assembly.serve_schema import check  # noqa: PLC0415  # Ray takes seconds to import

        check(config)
    typer.echo(_yaml(config), nl=False)


def _yaml(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)


def _engine(wanted: Document, given: str) -> str:
    name, model = model_named(wanted, given)
    place = Place("127.0.0.1", 8000, token="")
    weights = model.source if model.source is None else model.source.removeprefix("file://")
    return as_shell(engine_command(name, model, gpus=wanted.gpus_of(model), weights=weights, place=place))
