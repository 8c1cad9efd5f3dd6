"""A finding: what was looked at, how it is, what was found, what to do. Leaf."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Level(StrEnum):
    """How a thing is. Only a problem makes the doctor end with 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(BaseModel):
    """One line of the doctor's report."""

    model_config = ConfigDict(frozen=True)

    subject: str
    """What was looked at, in a word or two: `memory`, `weights of demo`."""
    level: Level
    found: str
    """One sentence or two."""
    remedy: str | None = None
    """What to do, a command where there is one. None where nothing is wrong."""


def ok(subject: str, found: str) -> Finding:
    return Finding(subject=subject, level=Level.OK, found=found)


def skipped(subject: str, found: str) -> Finding:
    return Finding(subject=subject, level=Level.SKIPPED, found=found)


def warning(subject: str, found: str, remedy: str | None) -> Finding:
    return Finding(subject=subject, level=Level.WARNING, found=found, remedy=remedy)


def problem(subject: str, found: str, remedy: str | None) -> Finding:
    return Finding(subject=subject, level=Level.PROBLEM, found=found, remedy=remedy)
