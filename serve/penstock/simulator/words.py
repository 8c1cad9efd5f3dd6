"""Tokens without a vocabulary: four bytes of UTF-8 are one token, which is about what English costs.

A token's number holds its bytes, so that texts and numbers convert without a table. Made-up text consists of words that
are one token each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

TOKEN_BYTES = 4

# Two lines of words read better than lists of strings.
_OPENINGS = "Here Once From When Deep Calm Cold Warm Long Wide Past Over Near Then Thus Soon".split()  # noqa: SIM905
_FOLLOWING = (  # noqa: SIM905
    "the sea oak elm ash fir bay sun sky fog dew ice mud hay rye oat bee ant owl hen fox elk cat dog cow emu jay"
    " eel cod ray net oar dam and but nor for yet all any few one two six ten big low old new wet dry hot shy raw icy"
    " sly apt fed led ran sat won"
).split()

# A byte of the digest picks a word, so that a token costs one look-up.
_FIRST = [_OPENINGS[byte % len(_OPENINGS)] for byte in range(256)]
_NEXT = [f" {_FOLLOWING[byte % len(_FOLLOWING)]}" for byte in range(256)]


def made_up(key: bytes, count: int) -> list[str]:
    """`count` words, one token each; the same for the same key. Joined they read as one text."""
    if count <= 0:
        return []
    digest = hashlib.shake_128(key).digest(count)
    return [_FIRST[digest[0]], *[_NEXT[byte] for byte in digest[1:]]]


def count_tokens(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode("utf-8", "replace")) // TOKEN_BYTES)


def split(text: str) -> list[str]:
    """A text in pieces of one token; characters are kept whole, so pieces of other than ASCII are a little long."""
    pieces: list[str] = []
    piece, size = "", 0
    for character in text:
        width = len(character.encode("utf-8", "replace"))
        if piece and size + width > TOKEN_BYTES:
            pieces.append(piece)
            piece, size = "", 0
        piece += character
        size += width
    return [*pieces, piece] if piece else pieces


def encode(text: str) -> list[int]:
    """The numbers of a text's tokens."""
    data = text.encode("utf-8", "replace")
    # The leading 1 keeps zero bytes, and tells tokens of different length apart.
    return [int.from_bytes(b"\x01" + data[start : start + TOKEN_BYTES]) for start in range(0, len(data), TOKEN_BYTES)]


def decode(tokens: Sequence[int]) -> str:
    """The text of tokens; numbers that are no token of ours become the replacement character."""
    return b"".join(map(_bytes_of, tokens)).decode("utf-8", "replace")


def _bytes_of(token: int) -> bytes:
    length = (token.bit_length() + 7) // 8
    data = token.to_bytes(length) if 1 < length <= TOKEN_BYTES + 1 else b""
    return data[1:] if data[:1] == b"\x01" else "\ufffd".encode()
