"""A model that a person names on the command line. Used by `pull` and `render`."""

from __future__ import annotations

from penstock.config import Document, Model
from penstock.config.suggest import nearest
from penstock.errors import DocumentError


def model_named(document: Document, given: str) -> tuple[str, Model]:
    """The model of this name or alias, with its own name. Raises DocumentError with the nearest name and the list."""
    for name, model in document.models.items():
        if given == name or given in model.aliases:
            return name, model
    names = list(document.models)
    hint = nearest(given, [*names, *(alias for model in document.models.values() for alias in model.aliases)])
    raise DocumentError(
        f"The document has no model {given!r}{f'; did you mean {hint!r}?' if hint else '.'}",
        remedy=f"Its models are {', '.join(names)}." if names else "Add one under models.",
    )
