"""Which header lines pass through the gateway, and how request ids are checked. Pure; used by `app` and `relay`.

Header names are lower case everywhere, as ASGI has them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from penstock.gateway.leases import Replica

Header = tuple[bytes, bytes]

REQUEST_ID = b"x-request-id"
LAYER = b"x-penstock-layer"
HELD = b"x-penstock-held-ms"
CACHE = b"x-penstock-cache"
"""Of a request: `on` or `off`. Of an answer: `hit`, `miss` or `joined`."""
SHOULD_RETRY = b"x-should-retry"
"""OpenAI's and Anthropic's clients obey it; without it they send again what got a 5xx."""

_HOP_BY_HOP = frozenset(
    [b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"]
)
_NOT_TO_ENGINE = _HOP_BY_HOP | {
    # The client's credentials are for us. The engine has a token of its own.
    b"authorization", b"x-api-key", b"api-key", b"cookie",
    # Made anew for the engine.
    b"host", b"content-length", b"content-type", b"expect", REQUEST_ID,
    # Said to us.
    CACHE,
    # Bytes are passed on unchanged, and counted tokens are looked for in them: no compression.
    b"accept-encoding",
}  # fmt: skip
_NOT_TO_CLIENT = _HOP_BY_HOP | {b"date", b"server", REQUEST_ID, LAYER, HELD, CACHE, b"set-cookie"}
_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def first(headers: Iterable[Header], name: bytes) -> bytes | None:
    """The value of the first header line of this name."""
    for key, value in headers:
        if key == name:
            return value
    return None


def request_id(headers: Iterable[Header]) -> bytes:
    """The client's, where it is 1 to 128 printable ASCII characters without blanks; else a new one."""
    given = first(headers, REQUEST_ID)
    if given is not None and _ID.fullmatch(given):
        return given
    return secrets.token_hex(16).encode()


def named_in_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    """Header lines that are meant for the next hop only, because `connection` names them."""
    names = b",".join(value for key, value in headers if key == b"connection")
    return frozenset(name.strip().lower() for name in names.split(b",")) if names else frozenset()


def to_engine(
    headers: list[Header], *, replica: Replica, body_length: int, content_type: bytes, request_id: bytes
) -> list[Header]:
    """The header lines of the request to the engine; `host` is for the client of the engine to add."""
    hop = named_in_connection(headers)
    passed = [
        (key, value)
        for key, value in headers
        if key not in _NOT_TO_ENGINE and key not in hop and not key.startswith(b"proxy-")
    ]
    passed += [
        (b"authorization", b"Bearer " + replica.token.encode()),
        (b"content-type", content_type),
        (b"content-length", b"%d" % body_length),
        (REQUEST_ID, request_id),
    ]
    return passed


def to_client(headers: list[Header]) -> list[Header]:
    """The header lines of the engine's answer that the client gets."""
    hop = named_in_connection(headers)
    return [
        (key, value)
        for key, value in headers
        if key not in _NOT_TO_CLIENT and key not in hop and not key.startswith(b"proxy-")
    ]
