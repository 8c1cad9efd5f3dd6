"""The options that several commands share, and the document that follows from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.config import Document, parse_source
from penstock.config.loading import load
from penstock.errors import DocumentError

DEFAULT_DOCUMENT = Path("penstock.yaml")

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--file", "-f", help="A document; given several times, they merge and the later wins.", metavar="FILE"
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one value as in Helm: models.demo.replicas.max=2", metavar="PATH=VALUE"),
]
ModelSource = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Serve this without a document: hf://org/repo, s3://…, or a path.", metavar="SOURCE"
    ),
]


def document(files: Sequence[Path] | None, sets: Sequence[str] | None, model: str | None = None) -> Document:
    """The document that the options name; `penstock.yaml` in this folder where they name none.

    Raises:
        DocumentError: it is wrong, or there is none.
    """
    paths = list(files or [])
    if not paths and model is None:
        if not DEFAULT_DOCUMENT.exists():
            raise DocumentError(
                f"There is no {DEFAULT_DOCUMENT} in this folder, and neither -f nor --model was given.",
                remedy="Name a document with -f, or a model with --model hf://Qwen/Qwen3-0.6B",
            )
        paths = [DEFAULT_DOCUMENT]
    return load(paths, sets or [], base=_of_model(model) if model else None)


def _of_model(source: str) -> dict[str, Any]:
    try:
        parsed = parse_source(source)
    except ValueError as error:
        raise DocumentError(f"--model: {error}") from error
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(parsed.path or parsed.location).name).strip("-._").lower() or "model"
    return {"models": {name: {"source": source}}}
