"""Platforms for serverless endpoints: OpenAI's API under `/api/v1/ai`, names in camelCase, answers in an envelope. Used
by `dialects.table`.

The envelope holds OpenAI's answer twice: under `data`, as these platforms' clients read it, and beside it, so that
OpenAI's clients work against the same path.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from penstock.gateway.dialects.edge import EVENTS, Edge, Plan
from penstock.gateway.dialects.errors import translated
from penstock.gateway.dialects.events import DONE, Events

PREFIX: Final = "/api/v1/ai/"
GOOD: Final = {"code": 200, "msg": "Operation successful"}

_POSTED: Final = frozenset({"chat/completions", "completions", "embeddings"})
_CAMEL: Final = re.compile(r"[a-z]+(?:[A-Z][a-z]*)+")
_HUMP: Final = re.compile(r"[A-Z]")
_NESTED: Final = ("stream_options", "response_format")
_STREAMED: Final = frozenset({"chat/completions", "completions"})


async def answer(edge: Edge) -> None:
    """Answer a request for `/api/v1/ai/...`."""
    operation = edge.path.removeprefix(PREFIX)
    inner = f"/v1/{operation}"
    if operation in _POSTED:

        def make(document: dict[str, Any], _: bytes) -> Plan:
            made, ends_with_usage = openai_request(document, operation)
            return Plan(inner, Envelope(ends_with_usage=ends_with_usage), body=orjson.dumps(made))

        await edge.translate(make, usual=inner)
    elif operation == "models" or operation.startswith("models/"):
        await edge.forward(Plan(inner, Envelope(), raw_path=b"/v1/" + edge.raw_path.removeprefix(PREFIX.encode())))
    else:
        await edge.refuse()


def openai_request(document: dict[str, Any], operation: str) -> tuple[dict[str, Any], bool]:
    """A request in OpenAI's names; where both are given, OpenAI's count. A stream is asked to tell its usage with every
    chunk.

    Returns with it whether the client itself asked for the last chunk, which has nothing but the usage.
    """
    made = _snake(document)
    for name in _NESTED:
        if isinstance(made.get(name), dict):
            made[name] = _snake(made[name])
    options = made.get("stream_options")
    if operation not in _STREAMED or made.get("stream") is not True or not isinstance(options, dict | None):
        return made, False
    made["stream_options"] = {**(options or {}), "include_usage": True, "continuous_usage_stats": True}
    return made, bool(options and options.get("include_usage") is True)


def _snake(document: dict[str, Any]) -> dict[str, Any]:
    renamed = {_HUMP.sub(lambda hump: f"_{hump[0].lower()}", name): name for name in document if _CAMEL.fullmatch(name)}
    plain = {name: value for name, value in document.items() if not _CAMEL.fullmatch(name)}
    return {**{new: document[old] for new, old in renamed.items()}, **plain}


class Envelope:
    """Implements `Translator`.

    Args:
        ends_with_usage: whether the client asked for the last chunk, which has nothing but the usage.
    """

    content_type = EVENTS + b"; charset=utf-8"

    def __init__(self, *, ends_with_usage: bool = False) -> None:
        self._ends_with_usage = ends_with_usage
        self._events = Events()
        self._usage: Any = None

    def whole(self, document: Any) -> Any:
        """The answer under `data`, and beside it. OpenAI's lists have their `data` already."""
        return {**GOOD, "data": document, **document}

    def feed(self, chunk: bytes) -> bytes:
        """Each event under the name `messages`, with the usage so far."""
        return b"".join(map(self._event, self._events.feed(chunk)))

    def _event(self, data: bytes) -> bytes:
        if data == DONE:
            return _named(data)
        document = orjson.loads(data)
        if isinstance(error := document.get("error"), dict):
            return _named(orjson.dumps(translated("serverless", 500, error)))
        told, self._usage = self._usage, document.get("usage") or self._usage
        if not document.get("choices") and told is not None and not self._ends_with_usage:
            return b""  # the chunk before it has told as much, and has choices, which clients take for granted
        return _named(orjson.dumps({**document, "usage": self._usage}))


def _named(data: bytes) -> bytes:
    return b"event:messages\ndata: " + data + b"\n\n"
