"""curl as rows of the matrix, one for each dialect of the address. Used by `client_rows`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.python_clients import ENDLESS, HELLO, MOST, WRONG


@dataclass(frozen=True)
class Dialect:
    """How curl asks in a dialect."""

    path: str
    body: Callable[[str, int, bool], dict[str, Any]]
    text: Callable[[Any], str]
    piece: Callable[[Any], str]
    message: Callable[[Any], str]
    wrong_path: str | None = None
    """Where the path names the model: that of one that there is not."""


@dataclass(frozen=True)
class CurlRow:
    """curl, which reads lines."""

    url: str
    dialect: Dialect

    def _command(self, model: str, most: int, stream: bool) -> list[str]:
        wrong = model == WRONG and self.dialect.wrong_path
        body = json.dumps(self.dialect.body(model, most, stream))
        json_header = "content-type: application/json"
        address = self.url + (wrong or self.dialect.path)
        return ["curl", "--silent", "--no-buffer", "--max-time", "120", address, "-H", json_header, "-d", body]

    def _ask(self, model: str = "demo", *, stream: bool = False) -> str:
        return subprocess.run(
            self._command(model, MOST, stream), capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def _piece(self, line: str) -> str:
        data = line.removeprefix("data:").strip()
        return self.dialect.piece(json.loads(data)) if data.startswith("{") else ""

    def chat(self) -> str:
        return self.dialect.text(json.loads(self._ask()))

    def stream(self) -> list[str]:
        return [piece for line in self._ask(stream=True).splitlines() if (piece := self._piece(line))]

    def error(self) -> str:
        return self.dialect.message(json.loads(self._ask(WRONG)))

    def cancel(self) -> str:
        with subprocess.Popen(self._command("demo", ENDLESS, True), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            piece = next(piece for line in process.stdout if (piece := self._piece(line)))
            process.terminate()
        return piece


def _openai(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, "max_tokens": most, "temperature": 0, "stream": stream}


def _serverless(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, "maxTokens": most, "temperature": 0, "stream": stream}


def _ollama(model: str, most: int, stream: bool) -> dict[str, Any]:
    return {
        "model": model,
        "messages": HELLO,
        "options": {"num_predict": most, "temperature": 0},
        "stream": stream,
    }


def _text(document: Any) -> str:
    return str(document["choices"][0]["message"]["content"])


def _piece(document: Any) -> str:
    return document["choices"][0]["delta"].get("content") or ""


def _message(document: Any) -> str:
    return str(document["error"]["message"])


_DEPLOYMENT = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
DIALECTS = {
    "openai": Dialect("/v1/chat/completions", _openai, _text, _piece, _message),
    "anthropic": Dialect(
        "/v1/messages",
        _openai,
        lambda document: str(document["content"][0]["text"]),
        lambda document: document.get("delta", {}).get("text") or "",
        _message,
    ),
    "azure": Dialect(_DEPLOYMENT.format("demo"), _openai, _text, _piece, _message, _DEPLOYMENT.format(WRONG)),
    "serverless": Dialect(
        "/api/v1/ai/chat/completions",
        _serverless,
        lambda document: _text(document["data"]),
        _piece,
        lambda it: it["msg"],
    ),
    "ollama": Dialect(
        "/api/chat",
        _ollama,
        lambda document: str(document["message"]["content"]),
        lambda document: str(document["message"]["content"]),
        lambda document: str(document["error"]),
    ),
}
