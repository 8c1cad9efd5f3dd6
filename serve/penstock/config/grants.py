"""What somebody may do: roles, and patterns of models. Used by the sections about keys and tokens."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

MOST_PATTERNS = 100

PROVIDER_GRANT = "provider:"
"""Stands before a pattern of providers' names among the patterns of models. Patterns of models grant no provider."""

_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9._/:*?-]{0,127}")

Role = Literal["user", "admin"]
"""What a key is for: `user` calls models, `admin` manages keys."""
USER: Role = "user"


def checked_pattern(pattern: str) -> str:
    """A pattern of models' names. Raises ValueError."""
    if _PATTERN.fullmatch(pattern) is None:
        raise ValueError(
            f"{pattern[:128]!r} is no pattern of models; use a served name or an alias, with * for any characters and ?"
            " for one, or provider: and the name of a provider"
        )
    return pattern


ModelPattern = Annotated[
    str, AfterValidator(checked_pattern), WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN.pattern}$"})
]
