"""`penstock schema`: the JSON schema of the document."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON schema of the document, for editors and for checks.

    Example: penstock schema > penstock.schema.json
    """
    from penstock.config.schema import json_schema  # noqa: PLC0415  # `penstock --help` needs none of it

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
