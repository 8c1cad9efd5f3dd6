"""Counts the tokens of a streamed answer without reading its JSON. Used by `client` for every piece that arrives.

The client must cost next to nothing beside a server on the same cores, so a line is searched for what it must contain
and only the last one, with the usage, is decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

# A quote inside a JSON string is escaped, so text of the model cannot look like these keys.
_TEXT = re.compile(rb'"(?:content|text|reasoning|reasoning_content|arguments)"\s*:\s*"(?!")')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_ERROR = re.compile(rb'^\{\s*"error"\s*:')


@dataclass
class EventScanner:
    """Feed it the bytes of one `text/event-stream`, in any pieces."""

    chunks: int = 0
    """Events that carried text."""

    tokens: int | None = None
    """`usage.completion_tokens`, once the server has said it."""

    done: bool = False
    """`data: [DONE]` was seen."""

    error: str | None = None
    """The message of an error event."""

    _rest: bytes = b""

    def feed(self, data: bytes) -> int:
        """How many events with text this piece completed."""
        lines = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        before = self.chunks
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())
        return self.chunks - before

    def _event(self, payload: bytes) -> None:
        if payload == b"[DONE]":
            self.done = True
        elif _ERROR.match(payload):
            self.error = _message(payload)
        else:
            if _TEXT.search(payload):
                self.chunks += 1
            if _USAGE.search(payload):
                self._read_usage(payload)

    def _read_usage(self, payload: bytes) -> None:
        try:
            tokens = orjson.loads(payload)["usage"]["completion_tokens"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return
        if isinstance(tokens, int):
            self.tokens = tokens


def _message(payload: bytes) -> str:
    try:
        return str(orjson.loads(payload)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return payload[:200].decode(errors="replace")
