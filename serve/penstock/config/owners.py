"""Names of teams, as keys and limits have them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@/-]{0,62})")
_SHOWN = 100


def checked_owner(owner: str) -> str:
    """A team's name. Raises ValueError."""
    if _OWNER.fullmatch(owner) is None:
        raise ValueError(
            f"{owner[:_SHOWN]!r} is no owner; use 1 to 63 letters, digits and . _ @ / -, beginning with a letter"
            " or a digit"
        )
    return owner


Owner = Annotated[
    str, AfterValidator(checked_owner), WithJsonSchema({"type": "string", "pattern": f"^{_OWNER.pattern}$"})
]
