"""`models.<name>.cache` and `gateway.cache`: answers that are kept and given again to equal requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from penstock.config.base import Section
from penstock.config.units import Duration, Size
from penstock.config.weights import SecretFrom


class CacheSettings(Section):
    """Where answers are kept. Which models' answers are, `models.<name>.cache` says; without any nothing is kept."""

    memory: Size = 64 * 2**20
    """Bytes of answers that each gateway keeps in its memory at most, what it takes to keep them counted in. What was
    not asked for longest goes first. 0: none, where there is a Redis."""

    largest: Size = Field(default=2**20, gt=0)
    """A larger answer is not kept, and a larger request is not looked for."""

    redis: SecretFrom | None = None
    """Where the address of a Redis is read from, `redis://:password@host:6379/0` or `rediss://…`, in which all gateways
    keep answers together. While it cannot be reached, gateways do with their memory."""


class AnswerCache(Section):
    """Whether a model's answers are kept. `true` means always, `false` never."""

    when: Literal["always", "asked", "never"] = "always"
    """`always`: for each request whose answer can be kept, but not with the header `x-penstock-cache: off`. `asked`:
    with `x-penstock-cache: on` alone."""

    ttl: Duration = Field(default=3600.0, gt=0)
    """An answer is given again for so long. It bounds how long a change of weights behind an unchanged source goes
    unnoticed: a branch of a hub's repository, a bucket's prefix."""

    sampled: bool = False
    """Whether answers to requests without temperature 0 and without a seed are kept too, which then are the same each
    time."""

    @model_validator(mode="before")
    @classmethod
    def _from_switch(cls, value: Any) -> Any:
        return {"when": "always" if value else "never"} if isinstance(value, bool) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(schema))
        description = full.pop("description", "")
        return {"description": description, "anyOf": [{"type": "boolean"}, full]}
