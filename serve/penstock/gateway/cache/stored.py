"""An answer as it is kept, what it takes, and which answers are kept. Pure; used by `caching`, `memory` and `redis`."""

from __future__ import annotations

import re
import sys
from typing import Any, Final, NamedTuple

import orjson

from penstock.gateway.headers import Header, first

_PLACE: Final = 512
"""Bytes that an entry takes beside its texts: of the table, the tuples, the numbers."""

_STREAM: Final = b"text/event-stream"
_ENDS: Final = {
    "/v1/chat/completions": b"data: [DONE]",
    "/v1/completions": b"data: [DONE]",
    "/v1/messages": b"event: message_stop",
}
_TAIL: Final = 512
_FAILED: Final = re.compile(
    # Inside a string quotes have backslashes before them, so no text of an answer is taken for one of these.
    rb'(?:^|\n)data: ?\{\s*"(?:error"\s*:|object"\s*:\s*"error")|(?:^|\n)event: error'
    rb'|"finish_reason"\s*:\s*"(?:abort|error)"'
)
_NOT_KEPT: Final = frozenset({b"content-length", b"transfer-encoding"})


class Stored(NamedTuple):
    """A whole answer with status 200."""

    made: float
    """When it was given first, in seconds since the epoch."""
    headers: tuple[Header, ...]
    """Without its length."""
    body: bytes

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, about."""
        texts = sum(sys.getsizeof(name) + sys.getsizeof(value) + _PAIR for name, value in self.headers)
        return _PLACE + sys.getsizeof(self.body) + texts


_PAIR: Final = sys.getsizeof((b"", b""))


def kept_headers(headers: list[Header]) -> tuple[Header, ...]:
    """The header lines that belong to every copy of an answer."""
    return tuple(header for header in headers if header[0] not in _NOT_KEPT)


def is_whole(path: str, *, streams: bool, status: int, headers: list[Header], body: bytes) -> bool:
    """Whether an answer that came to the end of its bytes is good, and says itself that it is at its end.

    Args:
        path: the engine's, without its query.
        streams: whether the request asked for a stream.
    """
    if status != 200 or not body:
        return False
    is_stream = (first(headers, b"content-type") or b"").startswith(_STREAM)
    if is_stream != streams:
        return False
    if is_stream and (path not in _ENDS or _ENDS[path] not in body[-_TAIL:]):
        return False
    return _FAILED.search(body) is None


def encode(answer: Stored) -> bytes:
    """As one text, for a store outside."""
    lines = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers]
    return orjson.dumps({"made": answer.made, "headers": lines}) + b"\n" + answer.body


def decode(text: bytes) -> Stored | None:
    """The answer; None for a text that is none."""
    head, found, body = text.partition(b"\n")
    try:
        told = orjson.loads(head)
        made = told["made"]
        headers = tuple(_header(line) for line in told["headers"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not found or not body or not isinstance(made, float | int) or isinstance(made, bool):
        return None
    return Stored(float(made), headers, body)


def _header(line: Any) -> Header:
    name, value = line
    return name.encode("latin-1"), value.encode("latin-1")
