"""Token counts, found at the end of an engine's answer, the rest unparsed. Pure; used by `attempt` and `meter`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

TAIL = 16384
"""Bytes at the end of an answer in which its usage is looked for."""

_USAGE = re.compile(rb'"usage"\s*:\s*(?=\{)')
_OBJECT = re.compile(rb"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
"""An object that holds objects, but none that hold objects; braces never stand in the strings of a usage."""


class Usage(NamedTuple):
    """Tokens of one request."""

    prompt: int = 0
    """With those that the engine had in its cache."""
    completion: int = 0
    cached: int = 0
    """Tokens of the prompt that the engine had in its cache, where it says so."""
    exact: bool = True
    """Whether the engine counted them. Else it went away before it could, and they are guessed."""


def find_usage(tail: bytes) -> Usage | None:
    """The last usage in the last bytes of an answer, in OpenAI's or Anthropic's words; None where there is none.

    In a stream it is there only where the client asked for it. A quoted `"usage":` inside a string has backslashes
    before its quotes, and so is not taken for one.
    """
    for match in reversed(list(_USAGE.finditer(tail))):
        found = _OBJECT.match(tail, match.end())
        if found is None:
            continue
        try:
            document = orjson.loads(found[0])
        except orjson.JSONDecodeError:
            continue
        return _read(document)
    return None


def _read(document: dict[str, Any]) -> Usage:
    # Anthropic's prompt is three numbers, none of which holds another.
    apart = _count(document, "cache_read_input_tokens")
    prompt = _count(document, "prompt_tokens", "input_tokens") + apart + _count(document, "cache_creation_input_tokens")
    details = document.get("prompt_tokens_details") or document.get("input_tokens_details")
    cached = apart or (_count(details, "cached_tokens") if isinstance(details, dict) else 0)
    return Usage(prompt, _count(document, "completion_tokens", "output_tokens"), min(cached, prompt))


def _count(document: dict[str, object], *keys: str) -> int:
    for key in keys:
        value = document.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
