"""What every part of the document has in common: camelCase outside, snake_case inside, unknown keys refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError


class Section(BaseModel):
    """A part of the document. Immutable, so that it can be shared between tasks and compared.

    Python code builds sections by snake_case names. What comes from a file is camelCase alone: loading says so when it
    validates (`by_name=False`).
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class Finding(NamedTuple):
    """Something wrong that a section's own check found."""

    path: tuple[str | int, ...]
    """Keys below the section, as they are written in documents."""

    reason: str
    """What was found and what is allowed, without the path."""

    value: Any


def refused(section: type[BaseModel], findings: Iterable[Finding]) -> ValidationError:
    """The error to raise from a validator of a whole section whose findings are about places below it."""
    return ValidationError.from_exception_data(
        section.__name__,
        [
            InitErrorDetails(
                type=PydanticCustomError("refused", "{reason}", {"reason": finding.reason}),
                loc=finding.path,
                input=finding.value,
            )
            for finding in findings
        ],
    )
