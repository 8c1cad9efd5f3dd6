"""Calls from web pages of other origins, as the document allows them. Pure; used by `app`."""

from __future__ import annotations

from penstock.config.gateway import Cors
from penstock.gateway.errors import ForbiddenError
from penstock.gateway.headers import Header, first


def is_preflight(method: str, headers: list[Header]) -> bool:
    """Whether a browser asks, before a call, if the page may make it."""
    return (
        method == "OPTIONS"
        and first(headers, b"origin") is not None
        and first(headers, b"access-control-request-method") is not None
    )


def response_headers(cors: Cors, headers: list[Header]) -> list[Header]:
    """The header lines that let the page read the answer; none where its origin is not allowed."""
    if not cors.allow_origins or (origin := first(headers, b"origin")) is None:
        return []
    if "*" in cors.allow_origins:
        lines: list[Header] = [(b"access-control-allow-origin", b"*")]
    elif origin.decode("latin-1") in cors.allow_origins:
        lines = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
    else:
        return [(b"vary", b"origin")]
    if cors.expose_headers:
        lines.append((b"access-control-expose-headers", ", ".join(cors.expose_headers).encode()))
    return lines


def preflight_headers(cors: Cors, headers: list[Header], allow: str) -> list[Header]:
    """The answer to a preflight, but for `response_headers`. Raises ForbiddenError where the origin is not allowed.

    Args:
        allow: methods of the path.
    """
    origin = (first(headers, b"origin") or b"").decode("latin-1")
    if "*" not in cors.allow_origins and origin not in cors.allow_origins:
        raise ForbiddenError(
            f"Pages of {origin[:200]!r} may not call this address; gateway.cors.allowOrigins names who may."
        )
    asked = first(headers, b"access-control-request-headers")
    allowed = asked if "*" in cors.allow_headers else ", ".join(cors.allow_headers).encode()
    lines: list[Header] = [
        (b"access-control-allow-methods", allow.encode()),
        (b"access-control-max-age", b"%d" % int(cors.max_age)),
        (b"vary", b"access-control-request-headers"),
    ]
    if allowed:
        lines.append((b"access-control-allow-headers", allowed))
    if first(headers, b"access-control-request-private-network") == b"true":
        lines.append((b"access-control-allow-private-network", b"true"))
    return lines
