"""Whether a request that our own model cannot answer goes to its fallback, and why not. Pure; used by `upstreams`."""

from __future__ import annotations

from typing import Final

import orjson

from penstock.config.fallback import FallbackReason
from penstock.gateway.errors import (
    BusyError,
    EngineAnsweredError,
    EngineCrashedError,
    EngineFailedError,
    EngineRefusedError,
    GatewayError,
    UnavailableError,
)

_OVERFLOW: Final = (b"maximum context length", b"context_length_exceeded")
"""What vLLM and OpenAI say of a prompt that is too long."""
_WAITED_IN_VAIN: Final = "no_replica"


def reason_for(error: GatewayError, *, ready: bool) -> FallbackReason | None:
    """Why a fallback could help; None where it could not, or where the error is none of the model's.

    Args:
        error: with which our own model refused.
        ready: whether a replica of it is ready. An overload is no reason: it would send all of it elsewhere.
    """
    if isinstance(error, EngineAnsweredError):
        if error.status >= 500:
            return "failed"
        return "tooLong" if is_overflow(error.status, error.body) else None
    if isinstance(error, EngineFailedError | EngineCrashedError):
        return "failed"
    if isinstance(error, EngineRefusedError) and error.status >= 500:
        return "failed"
    if error.layer != "pool" or ready:
        return None
    waited_in_vain = isinstance(error, UnavailableError) and error.code == _WAITED_IN_VAIN
    return "noReplica" if waited_in_vain or isinstance(error, BusyError) else None


def is_overflow(status: int, body: bytes) -> bool:
    """Whether an engine's error says that the prompt is longer than the model's context."""
    if status not in (400, 413, 422) or not any(words in body for words in _OVERFLOW):
        return False
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    error = document.get("error") if isinstance(document, dict) else None
    said = orjson.dumps(error) if isinstance(error, dict) else b""
    return any(words in said for words in _OVERFLOW)


def may_go_elsewhere(status: int, body: bytes) -> bool:
    """Whether an engine's error may be one that a fallback helps against."""
    return status >= 500 or is_overflow(status, body)
