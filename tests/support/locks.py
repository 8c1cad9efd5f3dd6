"""Reads the locked requirements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@dataclass(frozen=True)
class Locked:
    """One line of a lock."""

    name: str
    version: str
    marker: str
    hashes: int


def lock(name: str) -> list[Locked]:
    """What a lock pins, without what it pins for no system.

    Raises:
        ValueError: a line is no exact pin.
    """
    text = re.sub(r"\\\n\s*", "", (REQUIREMENTS / f"{name}.txt").read_text())
    found = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: ; ([^-]*))?((?:\s*--hash=sha256:[0-9a-f]{64})*)", line.strip())
        if match is None:
            raise ValueError(f"{name}.txt: {line!r} is no exact pin")
        if "'never'" not in (match[3] or ""):
            found.append(Locked(match[1], match[2], (match[3] or "").strip(), match[4].count("--hash=")))
    return found


def versions(name: str) -> dict[str, set[str]]:
    """The versions of each package of a lock; more than one where Python versions or systems differ."""
    found: dict[str, set[str]] = {}
    for pin in lock(name):
        found.setdefault(pin.name, set()).add(pin.version)
    return found
