"""Answers of the gateway as Ollama gives them: whole, or a line of JSON for each piece. Pure but for the clock; used by
`dialects.ollama`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from penstock.gateway.dialects.errors import translated
from penstock.gateway.dialects.events import DONE, Events

LINES: Final = b"application/x-ndjson"

_REASONS: Final = {"tool_calls": "stop", "abort": "stop"}
_REASONING: Final = ("reasoning", "reasoning_content")


class Talk:
    """Implements `Translator` for `/api/chat` and `/api/generate`.

    Args:
        model: the name that the client used.
        chat: whether pieces are messages; else they are responses.
    """

    content_type = LINES

    def __init__(self, model: Any, *, chat: bool) -> None:
        self._model = model
        self._chat = chat
        self._events = Events()
        self._calls: dict[int, dict[str, str]] = {}
        self._reason = "stop"
        self._usage: dict[str, Any] = {}
        self._began = time.perf_counter_ns()
        self._first: int | None = None

    def whole(self, document: Any) -> Any:
        """Of an answer, or of a model that was loaded."""
        choices = document.get("choices")
        if not choices:
            return {**self._piece({}), "done": True, "done_reason": "load"}
        choice = choices[0]
        said = choice.get("message") or {"content": choice.get("text")}
        self._note(choice.get("finish_reason"), document.get("usage"))
        self._gather(said.get("tool_calls"))
        return {**self._piece(said, calls=True), **self._end()}

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(map(self._lines, self._events.feed(chunk)))

    def _lines(self, data: bytes) -> bytes:
        if data == DONE:
            calls = _line(self._piece({}, calls=True) | {"done": False}) if self._calls and self._chat else b""
            return calls + _line({**self._piece({}), **self._end()})
        document = orjson.loads(data)
        if isinstance(error := document.get("error"), dict):
            return _line(translated("ollama", 500, error))
        choice: dict[str, Any] = next(iter(document.get("choices") or []), {})
        self._note(choice.get("finish_reason"), document.get("usage"))
        said = choice.get("delta") or {"content": choice.get("text")}
        self._gather(said.get("tool_calls"))
        if not said.get("content") and not _reasoning(said):
            return b""
        if self._first is None:
            self._first = time.perf_counter_ns()
        return _line({**self._piece(said), "done": False})

    def _note(self, reason: Any, usage: Any) -> None:
        if isinstance(reason, str):
            self._reason = _REASONS.get(reason, reason)
        if isinstance(usage, dict):
            self._usage = usage

    def _gather(self, parts: Any) -> None:
        """Put the calls of tools together: a stream has them in parts, Ollama only whole."""
        for number, part in enumerate(parts or []):
            call = self._calls.setdefault(part.get("index", number), {"id": "", "name": "", "arguments": ""})
            function = part.get("function") or {}
            call["id"] += part.get("id") or ""
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""

    def _piece(self, said: dict[str, Any], *, calls: bool = False) -> dict[str, Any]:
        head = {"model": self._model, "created_at": written(time.time())}
        content, thinking = said.get("content") or "", _reasoning(said)
        thought = {"thinking": thinking} if thinking else {}
        if not self._chat:
            return {**head, "response": content, **thought}
        message: dict[str, Any] = {"role": "assistant", "content": content, **thought}
        if calls and self._calls:
            message["tool_calls"] = [_whole_call(call) for _, call in sorted(self._calls.items())]
        return {**head, "message": message}

    def _end(self) -> dict[str, Any]:
        """What the last piece tells: nanoseconds and tokens. An answer that came in one piece does not tell how long
        its prompt took."""
        now = time.perf_counter_ns()
        first = self._first or self._began
        return {
            "done": True,
            "done_reason": self._reason,
            "total_duration": now - self._began,
            "load_duration": 0,
            "prompt_eval_count": self._usage.get("prompt_tokens", 0),
            "prompt_eval_duration": first - self._began,
            "eval_count": self._usage.get("completion_tokens", 0),
            "eval_duration": now - first,
        }


class Embeddings:
    """Implements `Translator` for `/api/embed`, and where it is `single` for `/api/embeddings`."""

    content_type = LINES

    def __init__(self, model: Any, *, single: bool) -> None:
        self._model = model
        self._single = single
        self._began = time.perf_counter_ns()

    def whole(self, document: Any) -> Any:
        vectors = [item["embedding"] for item in document["data"]]
        if self._single:
            return {"embedding": vectors[0] if vectors else []}
        return {
            "model": self._model,
            "embeddings": vectors,
            "total_duration": time.perf_counter_ns() - self._began,
            "load_duration": 0,
            "prompt_eval_count": (document.get("usage") or {}).get("prompt_tokens", 0),
        }

    def feed(self, chunk: bytes) -> bytes:
        return chunk


def written(seconds: float) -> str:
    """A time since the epoch as Ollama writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _reasoning(said: dict[str, Any]) -> str:
    return next((said[name] for name in _REASONING if said.get(name)), "")


def _whole_call(call: dict[str, str]) -> dict[str, Any]:
    try:
        arguments = orjson.loads(call["arguments"] or b"{}")
    except orjson.JSONDecodeError:
        # An answer that was cut. Clients read an object.
        arguments = {}
    named = {"name": call["name"], "arguments": arguments}
    return {"id": call["id"], "function": named} if call["id"] else {"function": named}


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"
