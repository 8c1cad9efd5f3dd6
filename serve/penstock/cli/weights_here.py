"""What is known of weights and of this machine together. Used by `search`, `list` and `rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import BaseModel
from rich.text import Text

from penstock.cli.inputs import DEFAULT_DOCUMENT, Files, Sets, document
from penstock.config import Weights
from penstock.doctor.checks.fit import fit
from penstock.doctor.facts import Gpus, Memory
from penstock.doctor.probes.gpus import gpus
from penstock.doctor.probes.machine import memory

if TYPE_CHECKING:
    from penstock.engine.weights import Kept


class Listed(BaseModel):
    """A model, by its source."""

    source: str
    """Empty of a download that is not whole."""
    name: str = ""
    """Of its folder in the cache; empty where it is not there."""
    size: int | None = None
    """Bytes."""
    fits: bool | None = None
    """Whether one replica fits on this machine; None where nobody can tell."""
    fit: str = "not known"
    in_use: bool = False
    whole: bool = True
    used: float | None = None
    """When it was used last, in seconds since the epoch."""


class Seen(NamedTuple):
    """The machine."""

    gpus: Gpus
    memory: Memory

    @classmethod
    def here(cls) -> Self:
        """This one."""
        return cls(gpus(), memory())

    def fit_of(self, tensors: int | None) -> dict[str, Any]:
        """Of weights of so many bytes."""
        found = fit(tensors, self.gpus, self.memory)
        return {"fits": found.fits, "fit": found.said}


def settings_of(files: Files, sets: Sets) -> Weights:
    """Those of the document, where there is one. Raises DocumentError."""
    if not files and not sets and not DEFAULT_DOCUMENT.exists():
        return Weights()
    return document(files, sets).weights


def listed(kept: list[Kept], seen: Seen) -> list[Listed]:
    """The cache's content, for people."""
    return [
        Listed(
            source=item.source,
            name=item.name,
            size=item.size,
            in_use=item.in_use,
            whole=item.whole,
            used=item.used,
            **seen.fit_of(item.tensors),
        )
        for item in kept
    ]


def fit_text(line: Listed) -> Text:
    """In its colour."""
    if line.fits is None:
        return Text(line.fit, "dim")
    return Text(line.fit, "green" if line.fits else "yellow")
