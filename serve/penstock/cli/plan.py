"""`penstock plan`: what a document needs of a cloud, and what it costs, before anything is made there."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from penstock.cli import plan_tables
from penstock.cli.exits import FAILED
from penstock.cli.inputs import Files, Sets, document
from penstock.config import Document
from penstock.errors import DocumentError
from penstock.planning import plan as planning
from penstock.planning.tables import load

_PATIENCE = 20.0
"""Seconds that the sources of all weights get together to tell their sizes."""


class CloudName(StrEnum):
    """Where."""

    AWS = "aws"
    GCP = "gcp"


class Output(StrEnum):
    """In which form."""

    TABLE = "table"
    JSON = "json"


def plan(
    *,
    cloud: Annotated[CloudName, typer.Option(help="Where it would run.")],
    files: Files = None,
    sets: Sets = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="Prices and machines of your own, laid over the cloud's table.", metavar="FILE"),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(help="The type of GPU of a hardware profile of your own: big=nvidia-h100", metavar="PROFILE=TYPE"),
    ] = None,
    spot: Annotated[
        list[str] | None, typer.Option(help="This profile runs on spot nodes; may be given again.", metavar="PROFILE")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody for the size of weights; guess by their names.")
    ] = False,
    output: Annotated[Output, typer.Option(help="In which form.")] = Output.TABLE,
) -> None:
    """Show the nodes, GPUs, memory and cost an hour that a document needs of a cloud. Nothing is made.

    Machines and prices are those of the Terraform modules. Ends with 1 where something of the document could not run.

    Example: penstock plan -f penstock.yaml --cloud aws

    Example: penstock plan -f penstock.yaml --cloud gcp --spot nvidia-l4 --output json
    """
    wanted = document(files, sets)
    made = planning.plan(
        wanted,
        cloud.value,
        load(cloud.value, prices),
        types=_types(gpu or ()),
        spot=spot or (),
        sizes=_sizes(wanted, offline=offline),
    )
    if output is Output.JSON:
        typer.echo(made.model_dump_json(indent=2))
    else:
        console = Console(highlight=False)
        for part in plan_tables.parts_of(made):
            console.print(part)
    if made.problems:
        raise typer.Exit(FAILED)


def _types(given: Sequence[str]) -> dict[str, str]:
    types = {}
    for text in given:
        profile, equals, kind = text.partition("=")
        if not (profile and equals and kind):
            raise DocumentError(f"--gpu {text!r}: needed is PROFILE=TYPE, such as big=nvidia-h100.")
        types[profile] = kind
    return types


def _sizes(wanted: Document, *, offline: bool) -> dict[str, int]:
    """Bytes of weights by model, as far as they can be had."""
    from penstock.doctor.probes.sources import weights  # noqa: PLC0415  # --help needs no network

    found = weights(wanted, offline=offline, limit=_PATIENCE)
    return {seen.model: seen.tensors for seen in found if seen.tensors and not seen.error}
