"""A provider's key, read where the document says, and read anew so that one can be replaced while we run. Used by
`asking` and by the doctor."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from penstock import environment
from penstock.config.weights import SecretFrom

AGAIN: Final = 5.0
"""Seconds after which a file is read anew."""
_LARGEST: Final = 2**14


class KeyMissingError(Exception):
    """There is no key where the document says. The text names the place, and never holds what was found."""


def read_key(place: SecretFrom) -> str:
    """The key. Blocks for a file. Raises KeyMissingError."""
    if place.env is not None:
        text, where = environment.variable(place.env), f"the variable {place.env}"
    else:
        path = Path(place.file or "").expanduser()
        where = f"the file {path}"
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST).decode("ascii")
        except (OSError, UnicodeDecodeError):
            raise KeyMissingError(f"{where} cannot be read, or is no text") from None
    key = (text or "").strip()
    if not key:
        raise KeyMissingError(f"{where} is empty or not set")
    # What is no word would be another header line.
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise KeyMissingError(f"{where} holds no key: a key is one word of ASCII characters")
    return key


class Key:
    """Of one provider. Belongs to one event loop.

    Args:
        place: None where none is sent.
    """

    def __init__(self, place: SecretFrom | None) -> None:
        self._place = place
        self._read: tuple[float, str] | None = None

    def __repr__(self) -> str:
        return f"Key({self._place!r})"

    async def text(self) -> str | None:
        """The key; None where none is sent. Raises KeyMissingError."""
        place = self._place
        if place is None or place.env is not None:
            return None if place is None else read_key(place)
        now = time.monotonic()
        if self._read is None or now - self._read[0] > AGAIN:
            self._read = now, await asyncio.to_thread(read_key, place)
        return self._read[1]
