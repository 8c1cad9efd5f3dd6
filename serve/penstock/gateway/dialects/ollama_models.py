"""The gateway's models as Ollama lists them. Pure; used by `dialects.ollama`.

What Ollama knows of a file (its size, its format) the gateway does not know of an engine's weights, and says so by
leaving it empty.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any, Final

from penstock.gateway.catalog import Catalog
from penstock.gateway.dialects.ollama_answers import LINES, written

API_VERSION: Final = "0.13.0"
"""The version of Ollama whose API this is: clients look at it before they use a part of it."""

_EMBEDDING: Final = "/v1/embeddings"
_CHAT: Final = "/v1/chat/completions"
_KEPT: Final = 300
"""Seconds from now until when a model is said to stay: as long as Ollama keeps one."""


class Listing:
    """Implements `Translator` for `/api/tags`, and where only `running` for `/api/ps`."""

    content_type = LINES

    def __init__(self, *, running: bool) -> None:
        self._running = running

    def whole(self, document: Any) -> Any:
        cards = document["data"]
        if self._running:
            return {"models": [_running(card) for card in cards if card["ready"]]}
        return {"models": [_listed(card) for card in cards]}

    def feed(self, chunk: bytes) -> bytes:
        return chunk


class Card:
    """Implements `Translator` for `/api/show`."""

    content_type = LINES

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def whole(self, document: Any) -> Any:
        model = self._catalog.models.get(document["root"])
        offered = model.state.endpoints if model is not None else frozenset()
        information: dict[str, Any] = {"general.architecture": "penstock", "general.basename": document["root"]}
        if document["max_model_len"]:
            information["penstock.context_length"] = document["max_model_len"]
        return {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "modified_at": written(document["created"]),
            "details": _details(),
            "model_info": information,
            "capabilities": capabilities(offered),
        }

    def feed(self, chunk: bytes) -> bytes:
        return chunk


class Version:
    """Implements `Translator` for `/api/version`."""

    content_type = LINES

    def whole(self, document: Any) -> Any:
        return {"version": API_VERSION, "penstock": document["version"]}

    def feed(self, chunk: bytes) -> bytes:
        return chunk


def capabilities(offered: frozenset[str]) -> list[str]:
    """What a model can do, in Ollama's words, by the paths that its engine offers; empty where they are unknown."""
    if _EMBEDDING in offered and _CHAT not in offered:
        return ["embedding"]
    return ["completion", "tools"]


def _listed(card: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": card["id"],
        "model": card["id"],
        "modified_at": written(card["created"]),
        "size": 0,
        "digest": hashlib.sha256(card["root"].encode()).hexdigest(),
        "details": _details(),
    }


def _running(card: dict[str, Any]) -> dict[str, Any]:
    until = written(time.time() + _KEPT)
    return {**_listed(card), "expires_at": until, "size_vram": 0, "context_length": card["max_model_len"] or 0}


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": "",
    }
