"""`accounts`: who may use the address. Keys, where they are kept, and how long a gateway trusts what it knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from penstock.config.base import Section
from penstock.config.grants import MOST_PATTERNS, USER, ModelPattern, Role
from penstock.config.limits import KeyLimits, LimitSettings
from penstock.config.oidc import Oidc
from penstock.config.owners import Owner
from penstock.config.units import Duration
from penstock.config.usage import UsageSettings
from penstock.config.weights import AbsolutePath, SecretFrom

LONGEST_NAME = 100

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_MOMENT_FORM = "write a time with its offset, for example 2027-01-31T12:00:00Z"


def checked_name(name: str) -> str:
    """A key's name. Raises ValueError."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"{name[:LONGEST_NAME]!r} is no name of a key; use 1 to {LONGEST_NAME} printable characters, without blanks"
            " at the ends"
        )
    return name


def checked_hash(text: str) -> str:
    """The hash of a key. Raises ValueError, which does not show the text: it may be the key."""
    if _HASH.fullmatch(text) is None:
        raise ValueError(
            "this is no hash of a key; write sha256: and 64 hexadecimal digits, as `penstock keys create --print-entry`"
            " does. If it is the key itself, make another: it has been written down"
        )
    return text


def parse_moment(value: Any) -> datetime:
    """A moment in UTC of `2027-01-31T12:00:00Z`. Raises ValueError with the allowed form."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value[:40]!r} is no time; {_MOMENT_FORM}") from None
    if not isinstance(value, datetime):
        raise ValueError(f"this is no time; {_MOMENT_FORM}")
    if value.tzinfo is None:
        raise ValueError(f"the time has no offset from UTC; {_MOMENT_FORM}")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"the time is out of range; {_MOMENT_FORM}") from None


def format_moment(moment: datetime) -> str:
    """2027-01-31T12:00:00Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


KeyName = Annotated[
    str,
    AfterValidator(checked_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}),
]
KeyHash = Annotated[
    str, AfterValidator(checked_hash), WithJsonSchema({"type": "string", "pattern": f"^{_HASH.pattern}$"})
]
Moment = Annotated[
    datetime,
    BeforeValidator(parse_moment),
    PlainSerializer(format_moment, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in UTC. Written with its offset in documents."""


class ListedKey(Section):
    """A key that the document or a file lists, by its hash. `penstock keys create --print-entry` makes one."""

    hashes: list[KeyHash] = Field(min_length=1, max_length=8)
    """`sha256:` and the SHA-256 of the key in hexadecimal digits. To rotate a key, list the new one beside the old, and
    take the old away once nobody uses it."""

    owner: Owner = "default"
    """The team that the key belongs to."""

    models: list[ModelPattern] = Field(default_factory=lambda: ["*"], min_length=1, max_length=MOST_PATTERNS)
    """Models that the key may use: served names and aliases, with `*` for any characters and `?` for one. Models of
    providers need `provider:` and the provider's name besides, such as `provider:openai` or `provider:*`: no key uses
    a provider because of a `*` alone."""

    roles: list[Role] = Field(default_factory=lambda: [USER], min_length=1, max_length=2)
    """`user` calls models, `admin` manages keys over `/admin`. One does not include the other."""

    expires: Moment | None = None
    """When the key ends, for example `2027-01-31T12:00:00Z`. Default: never."""

    disabled: bool = False
    """Whether the key is refused, as if it were not listed."""

    limits: KeyLimits | None = None
    """How much the key may take. Default: as `accounts.limits.everyKey` says."""


class Database(SecretFrom):
    """The store of keys: a database. `{}` is the SQLite file `accounts.db` in Penstock's state folder.

    The address of a PostgreSQL is `postgresql://user:password@host:5432/name`, with libpq's parameters where they are
    needed (`?sslmode=verify-full`). It holds a password, so the document names where it is read from.
    """

    env: str | None = None
    """Name of an environment variable that holds the address."""

    file: AbsolutePath | None = None
    """Path of a file that holds the address and nothing else."""

    sqlite: AbsolutePath | None = None
    """Path of a SQLite file, for gateways of one machine."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if sum(place is not None for place in (self.env, self.file, self.sqlite)) > 1:
            raise ValueError("at most one of env, file and sqlite is needed: where the store is")
        return self


class Accounts(Section):
    """Who may use the address. Without keys it is open, and may then be reached from its own machine alone."""

    anonymous: bool | None = None
    """Whether requests without a key are served, for every model but those of providers. `false` asks every request
    for a key, and keeps keys in the default store where no other place is named. Default: `false` where keys, a file, a
    database or an issuer are named, else open, which `penstock up` refuses on addresses that other machines can
    reach."""

    keys: dict[KeyName, ListedKey] = Field(default_factory=dict)
    """Keys by name, as hashes. A change is taken over in place."""

    keys_file: AbsolutePath | None = None
    """A YAML file of more such keys by name, for example of a mounted Secret. Read anew within a second of a change;
    one that cannot be read leaves the keys as they were."""

    database: Database | None = None
    """The store that `penstock keys` and `/admin/keys` change."""

    oidc: Oidc | None = None
    """Bearer tokens of an OpenID Connect issuer, taken beside keys."""

    recheck: Duration = Field(default=3.0, gt=0, le=5)
    """A gateway looks a stored key up anew after so long. A revoked one is refused everywhere within this time."""

    outage: Duration = 600.0
    """While the store cannot be reached, stored keys that a gateway knows go on for so long. Unknown ones get 503. The
    same holds for an issuer and the keys that it signs with."""

    limits: LimitSettings = Field(default_factory=LimitSettings)
    """How much keys, teams and models may take, and what tokens cost."""

    usage: UsageSettings = Field(default_factory=UsageSettings)
    """What is kept of requests: who used which model, and how many tokens."""

    @model_validator(mode="after")
    def _usage_has_a_place(self) -> Self:
        if self.usage.enabled and self.store is None:
            raise ValueError("usage.enabled asks for a store: name it with database, for example database: {}")
        return self

    @property
    def asks_for_keys(self) -> bool:
        """Whether a request needs a key."""
        return not self.anonymous and (self.anonymous is False or self.knows_keys)

    @property
    def knows_keys(self) -> bool:
        """Whether a place of keys is named, or an issuer of tokens."""
        named = (self.keys_file, self.database, self.oidc)
        return bool(self.keys) or any(place is not None for place in named)

    @property
    def counts_usage(self) -> bool:
        """Whether usage is kept."""
        return self.store is not None and self.usage.enabled is not False

    @property
    def store(self) -> Database | None:
        """Where the store is; None where there is none."""
        if self.database is None and self.anonymous is False and not self.knows_keys:
            return Database()
        return self.database
