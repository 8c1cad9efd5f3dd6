"""Errors as bodies: OpenAI's error object, on other APIs' paths theirs, and the same as an event of a stream. Pure."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson

from penstock.gateway.dialects.errors import translated
from penstock.gateway.errors import (
    BudgetSpentError,
    EngineCrashedError,
    GatewayError,
    MethodNotAllowedError,
    UnauthorizedError,
)
from penstock.gateway.headers import LAYER, SHOULD_RETRY, Header
from penstock.gateway.routes import Dialect

_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_object(error: GatewayError, dialect: Dialect) -> dict[str, Any]:
    """The body of an error, as a document."""
    if dialect == "anthropic":
        return _anthropic_object(error.status, error.message)
    said = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    return {"error": said} if dialect == "openai" else translated(dialect, error.status, said)


def error_body(error: GatewayError, dialect: Dialect) -> bytes:
    """The body of an error answer."""
    return orjson.dumps(error_object(error, dialect))


def engine_error_body(body: bytes, status: int, dialect: Dialect) -> bytes | None:
    """An engine's error as clients of this dialect read it; None where the body is no error object.

    OpenAI's passes unchanged. On Anthropic's paths vLLM answers with OpenAI's object, or with types of its own, so
    that one is made anew from its message.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("error"), dict):
        return None
    if dialect == "openai":
        return body
    return orjson.dumps(_anthropic_object(status, str(document["error"].get("message") or "The engine refused it.")))


def _anthropic_object(status: int, message: str) -> dict[str, Any]:
    default = "invalid_request_error" if status < 500 else "api_error"
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, default), "message": message}}


def error_headers(error: GatewayError) -> list[Header]:
    """The header lines that belong to an error answer, but for its length."""
    headers: list[Header] = [(b"content-type", b"application/json"), (LAYER, error.layer.encode())]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))))
    if isinstance(error, EngineCrashedError | BudgetSpentError):
        headers.append((SHOULD_RETRY, b"false"))
    if isinstance(error, MethodNotAllowedError):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, UnauthorizedError):
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def error_event(error: GatewayError, dialect: Dialect, *, after: bytes) -> bytes:
    """The error as the last event of a stream that has begun.

    Args:
        after: the last bytes that the client got: an event that was cut in the middle is ended first.
    """
    opening = b"" if after.endswith((b"\n\n", b"\r\n\r\n")) else b"\n\n"
    return opening + body_event(error_body(error, dialect), dialect)


def body_event(body: bytes, dialect: Dialect) -> bytes:
    """The body of an error, which is JSON, as an event."""
    if b"\n" in body:  # between its tokens; an event's data is one line
        body = orjson.dumps(orjson.loads(body))
    name = b"event: error\n" if dialect == "anthropic" else b""
    return name + b"data: " + body + b"\n\n"


def comment(text: str) -> bytes:
    """A line of a stream of events that clients skip."""
    return f": {text}\n\n".encode()
