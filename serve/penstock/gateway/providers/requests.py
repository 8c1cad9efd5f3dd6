"""What a provider is sent: its own name of the model in the client's body, and few header lines. Pure; for `asking`."""

from __future__ import annotations

from typing import Any, Final

import orjson

from penstock.config.provider_presets import CHAT, COMPLETIONS, KeyHeader
from penstock.gateway.headers import Header

_KEPT: Final = frozenset([b"content-type", b"retry-after", b"cache-control", b"content-language"])
"""Header lines of an answer that the client gets. Others speak of our account there, or of the connection."""
_ITS_ID: Final = b"x-request-id"
ITS_ID: Final = b"x-penstock-provider-request-id"
"""Under which the provider knows the request, for questions to its support."""
PROVIDER: Final = b"x-penstock-provider"
FALLBACK: Final = b"x-penstock-fallback"


def body_for(body: bytes, model: str, *, endpoint: str, asks_usage: bool) -> tuple[bytes, bool]:
    """The body to send, and whether the usage is to be taken out of the stream, because the client did not ask for it.

    Args:
        body: the client's, a JSON object.
        model: the provider's name for the model.
        asks_usage: whether a stream's tokens are to be told.
    """
    document: dict[str, Any] = orjson.loads(body)
    document["model"] = model
    strips = False
    if asks_usage and document.get("stream") is True and endpoint in (CHAT, COMPLETIONS):
        options = document.get("stream_options")
        if isinstance(options, dict | None) and (options or {}).get("include_usage") is not True:
            document["stream_options"] = {**(options or {}), "include_usage": True}
            strips = True
    return orjson.dumps(document), strips


def header_lines(key: str | None, key_header: KeyHeader, *, streams: bool) -> dict[str, str]:
    """The header lines of the request. None of the client's: they may hold what is meant for us alone."""
    lines = {
        "content-type": "application/json",
        "accept": "text/event-stream" if streams else "application/json",
        # Bytes are passed on unchanged, and counted tokens are looked for in them.
        "accept-encoding": "identity",
        "user-agent": "penstock",
    }
    if key is not None:
        lines[key_header] = f"Bearer {key}" if key_header == "authorization" else key
    return lines


def answer_lines(headers: list[Header]) -> list[Header]:
    """The header lines of the provider's answer that the client gets."""
    kept = [(name, value) for name, value in headers if name in _KEPT]
    return kept + [(ITS_ID, value) for name, value in headers if name == _ITS_ID][:1]


def target(endpoint: str) -> str:
    """The path below the provider's address, of ours: `/v1/chat/completions` → `/chat/completions`."""
    return endpoint.removeprefix("/v1")


def without_secret(body: bytes, key: str | None) -> bytes:
    """A provider's words without our key, should it repeat it."""
    return body.replace(key.encode(), b"***") if key else body
