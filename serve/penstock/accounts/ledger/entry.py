"""What is kept of a request, and its line in the journal. Pure; made by the gateway, read by `journal` and `store`."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, Literal, NamedTuple

import orjson
from pydantic import Field, TypeAdapter, ValidationError

LONGEST: Final = 255
_UID_BYTES: Final = 12
_LARGEST: Final = 2**31 - 1
_LATEST: Final = 4e9
_DEAREST: Final = 2**63 - 1

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
"""As a database keeps it."""


class Entry(NamedTuple):
    """One request."""

    uid: Annotated[str, Field(pattern=f"^[0-9a-f]{{{2 * _UID_BYTES}}}$")]
    """24 hexadecimal digits, by which the store knows that it has it. Not the request's id, which clients choose."""
    at: Annotated[float, Field(ge=0, le=_LATEST)]
    """When it was over, in seconds since the epoch."""
    key: str
    """The id of the key."""
    team: str
    model: str
    endpoint: str
    status: Count
    prompt: Count
    completion: Count
    cached: Count
    exact: bool
    """Whether the engine counted the tokens. Else it broke off, and they are guessed."""
    first_byte_ms: Count | None
    duration_ms: Count
    request_id: str
    cache: Literal["", "hit", "joined", "miss"] = ""
    """What the gateway's cache had for it; empty where it was not asked, and in lines of the version before."""
    provider: str = ""
    """The provider that it went to; empty where it stayed here."""
    fallback: str = ""
    """Why it went there, where another model was asked for than `model`, which answered."""
    cost: Annotated[int, Field(ge=0, le=_DEAREST)] = 0
    """What its tokens cost by the prices of that moment, in billionths of a unit of money."""


_ENTRY: Final = TypeAdapter(Entry)


def new_uid() -> str:
    """One that no other request has."""
    return secrets.token_hex(_UID_BYTES)


def encode(entry: Entry) -> bytes:
    """Its line. Texts that UTF-8 has no bytes for lose what it has none for."""
    try:
        return orjson.dumps(tuple(entry)) + b"\n"
    except TypeError:
        sound = (v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in entry)
        return orjson.dumps(tuple(sound)) + b"\n"


def decode(line: bytes) -> Entry | None:
    """The entry of a line; None for one that was cut when its writer was killed, or that is no entry."""
    try:
        return _ENTRY.validate_json(line, strict=True)
    except ValidationError:
        return None


def text(value: str) -> str:
    """As a database keeps it: not too long, and without the one character that PostgreSQL has no place for."""
    return value.replace("\0", "")[:LONGEST]


def count(value: float) -> int:
    """As a database keeps it: a whole number that is not too large."""
    return max(0, min(round(value), _LARGEST))
