"""The text behind a place that the document names: a variable or a file that holds an address with its password. Used
for the store by `address`, for Redis by `limits.opening`."""

from __future__ import annotations

from pathlib import Path

from penstock import environment
from penstock.accounts.errors import StoreError
from penstock.config.weights import SecretFrom


def named_text(place: SecretFrom, key: str, remedy: str) -> tuple[str, str]:
    """The text without space around it, and the place in words. Raises StoreError where it cannot be read.

    Args:
        key: where the document names the place: `accounts.database`.
        remedy: what to do where the variable is empty.
    """
    if place.env is not None:
        text, where = environment.variable(place.env), f"the variable {place.env}"
        if text is None:
            raise StoreError(f"{key}.env: {where} is empty or not set.", remedy=remedy)
        return text.strip(), where
    path = Path(place.file or "").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip(), f"the file {path}"
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{key}.file: {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}."
        ) from None
