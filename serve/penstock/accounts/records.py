"""Keys as people and programs see them: what is asked for, what is kept, what was changed. The bodies of `/admin/keys`
and the `--json` of `penstock keys`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer

from penstock.config.accounts import KeyName, Moment
from penstock.config.grants import MOST_PATTERNS, USER, ModelPattern, Role
from penstock.config.limits import KeyLimits
from penstock.config.owners import Owner
from penstock.config.units import Duration

Source = Literal["store", "document", "file"]
State = Literal["active", "disabled", "expired"]
Change = Literal["create", "rotate", "disable", "enable", "delete", "limit"]

OVERLAP = 86400.0
LONGEST_OVERLAP = 90 * 86400.0


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NewKey(_Record):
    """A key to be made."""

    name: KeyName
    """How people call it; unique in the store."""

    owner: Owner = "default"
    """The team that it belongs to."""

    models: Annotated[list[ModelPattern], Field(min_length=1, max_length=MOST_PATTERNS)] = Field(
        default_factory=lambda: ["*"]
    )
    """Models that it may use: served names and aliases, with `*` for any characters and `?` for one."""

    roles: Annotated[list[Role], Field(min_length=1, max_length=2)] = Field(default_factory=lambda: [USER])
    """`user` calls models, `admin` manages keys."""

    expires: Moment | None = None
    """When it ends; null: never."""

    limits: KeyLimits | None = None
    """How much it may take; null: as the document says of every key."""


class Rotation(_Record):
    """How a key is rotated."""

    overlap: Duration = Field(default=OVERLAP, le=LONGEST_OVERLAP)
    """The old key goes on for so long. 0 ends it at once."""


class NewLimits(_Record):
    """Other limits for a key."""

    limits: KeyLimits | None
    """All of them; those that are not named end. null: as the document says of every key."""


class KeyRecord(_Record):
    """A key, without the key."""

    id: str
    """Stays the same when it is rotated. It is no secret."""

    name: str
    owner: str
    models: list[str]
    roles: list[Role]
    state: State
    expires: Moment | None = None
    source: Source = "store"
    """Where it is kept. Only those of the store can be changed here."""

    created: Moment | None = None
    """Null for keys of the document or a file."""

    limits: KeyLimits | None = None
    """How much it may take; null: as the document says of every key."""

    retiring: list[Moment] = Field(default_factory=list)
    """When its older keys end, after a rotation."""


class MadeKey(KeyRecord):
    """A key that was just made, with the key. It is shown this once."""

    key: SecretStr
    """What clients send. It is kept nowhere."""

    @field_serializer("key", when_used="json")
    def _shown(self, key: SecretStr) -> str:
        return key.get_secret_value()


class AuditEntry(_Record):
    """One change: who did what to which key, and when."""

    number: int
    at: Moment
    actor: str
    """`key:` and the id of an admin's key, or `cli:` and the user of the machine."""

    action: Change
    key_id: str
    details: dict[str, Any]
    """What else is worth knowing: the name, and what was set."""
