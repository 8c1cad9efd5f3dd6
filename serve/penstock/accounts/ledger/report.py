"""What is asked of the ledger and what it answers: for `penstock usage` and `/admin/usage`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from penstock.config.accounts import Moment

Dimension = Literal["key", "team", "model", "day", "hour"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("key", "team", "model", "day", "hour")
Grain = Literal["hours", "days"]

USUAL_DAYS: Final = 30


class Question(BaseModel):
    """What to add up."""

    model_config = ConfigDict(frozen=True)

    by: tuple[Dimension, ...] = ("team", "model")
    """What to tell apart; nothing gives one sum."""
    since: Moment | None = None
    """From this hour on. Default: the last 30 days, today among them."""
    until: Moment | None = None
    """Up to this hour, which is not among them. Default: to the end."""
    key: str | None = None
    team: str | None = None
    model: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.by)) < len(self.by):
            raise ValueError("what to tell apart is named twice")
        if {"day", "hour"} <= set(self.by):
            raise ValueError("tell days apart, or hours, not both")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since is not before until")
        return self


class Sums(BaseModel):
    """What requests took, together."""

    requests: int = 0
    failed: int = 0
    """Requests of those that were answered with an error, or whose client left."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the prompts that engines had in their cache."""
    guessed: int = 0
    """Requests of those whose engine broke off, so that their tokens are guessed."""
    cache_hits: int = 0
    """Requests of those that were answered from the gateway's cache, or with the answer to an equal one; they took no
    tokens."""
    provider_requests: int = 0
    """Requests of those that went to a provider."""
    cost: float = 0.0
    """What the tokens cost, by the prices at the time of each request, in the money of `accounts.limits.prices`."""


class UsageRow(Sums):
    """Sums for one value of each thing that is told apart; None for what is not."""

    key: str | None = None
    team: str | None = None
    model: str | None = None
    start: Moment | None = None
    """Of the day or the hour, in UTC."""


class UsageReport(BaseModel):
    """What was asked for."""

    since: Moment
    until: Moment | None
    by: list[Dimension]
    rows: list[UsageRow]
    """By time, then the most tokens first."""
    total: Sums = Field(default_factory=Sums)


def bounds(question: Question, now: datetime) -> tuple[datetime, datetime | None]:
    """From when to when, in whole hours."""
    since = question.since or hour_of(now).replace(hour=0) - timedelta(days=USUAL_DAYS - 1)
    return hour_of(since), None if question.until is None else hour_of(question.until)


def grain_of(question: Question, since: datetime, until: datetime | None) -> Grain:
    """Which sums to add: those of days, of which there are few, unless hours are asked for."""
    whole_days = since.hour == 0 and (until is None or until.hour == 0)
    return "days" if whole_days and "hour" not in question.by else "hours"


def hour_of(moment: datetime) -> datetime:
    """Its beginning."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def total(rows: Iterable[Sums]) -> Sums:
    """All of them together."""
    sums: dict[str, Any] = dict.fromkeys(Sums.model_fields, 0)
    for row in rows:
        for name in sums:
            sums[name] += getattr(row, name)
    return Sums(**{**sums, "cost": round(sums["cost"], 9)})
