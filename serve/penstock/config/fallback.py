"""`models.<name>.fallback`: which provider's model answers where our own cannot."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from penstock.config.base import Section

FallbackReason = Literal["noReplica", "failed", "tooLong"]
"""`noReplica`: no replica is ready, and the hold is full or over. `failed`: an engine failed before the first byte.
`tooLong`: the prompt is longer than the model's context."""

LONGEST_NAME = 128


def _checked_target(name: str) -> str:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError("the name of a provider's model is missing or too long")
    return name


class Fallback(Section):
    """A model of a provider that answers instead, before anything of an answer has reached the client."""

    to: Annotated[str, AfterValidator(_checked_target), WithJsonSchema({"type": "string", "minLength": 1})]
    """The name of a model of one of `providers`."""

    when: list[FallbackReason] = Field(default=["noReplica", "failed", "tooLong"], min_length=1)
    """When. `noReplica`: none is ready, and as many requests wait as `gateway.hold.requests` allows, or this one has
    waited for `gateway.hold.seconds`. `failed`: engines failed before the first byte. `tooLong`: the prompt is longer
    than the model's context."""
