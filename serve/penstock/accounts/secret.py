"""What a key looks like: `psk_`, 32 letters and digits (190 bits), and 6 hexadecimal digits as a check. Pure.

The check is the beginning of the SHA-256 of what stands before it. It tells a key that was cut or mistyped without a
look-up, and lets scanners of source code tell a key from a word. Helm's templates can compute it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string

PREFIX = "psk_"
LONGEST = 256
"""Longer texts are no keys, and are not hashed."""

_RANDOM = 32
_CHECK = 6
_ALPHABET = string.ascii_letters + string.digits
_FORM = re.compile(rb"psk_[A-Za-z0-9]{%d}[0-9a-f]{%d}" % (_RANDOM, _CHECK))


def new_key() -> str:
    """A key that nobody has."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _check(body.encode())


def is_whole(key: bytes) -> bool:
    """Whether a text has a key's form, and its check fits."""
    if _FORM.fullmatch(key) is None:
        return False
    return hmac.compare_digest(_check(key[:-_CHECK]).encode(), key[-_CHECK:])


def digest(key: bytes) -> bytes:
    """The SHA-256 by which a key is kept and found. 32 bytes."""
    return hashlib.sha256(key).digest()


def written(digest: bytes) -> str:
    """A digest as documents have it: `sha256:` and 64 hexadecimal digits."""
    return f"sha256:{digest.hex()}"


def read(text: str) -> bytes:
    """The digest of what `written` made."""
    return bytes.fromhex(text.removeprefix("sha256:"))


def _check(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_CHECK]
