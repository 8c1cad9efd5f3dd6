"""The words of a streamed answer, and the sentence of an error, out of what an OpenAI-compatible server sends. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Piece(NamedTuple):
    """A part of an answer, as it came."""

    text: str = ""
    reasoning: str = ""
    """What the model thinks aloud before it answers."""
    finish: str | None = None
    """Why the answer ended: `stop`, `length`. None while it goes on."""


class StreamError(Exception):
    """The stream ended in an error; its text is a sentence."""


def pieces(lines: Iterable[bytes]) -> Iterator[Piece]:
    """The parts of an answer out of the lines of an event stream, each as soon as its event is whole.

    Raises StreamError for an error event, for what is no event of a chat, and for a stream that ends before its end.
    """
    for data in _events(lines):
        if data == b"[DONE]":
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise StreamError(f"The server sent an event that is no JSON: {_shown(data)}") from None
        if isinstance(event, dict) and event.get("error"):
            raise StreamError(sentence(event) or f"The server sent an error: {_shown(data)}")
        if (piece := _piece(event)) is not None:
            yield piece
    raise StreamError("The answer was cut: the connection ended before the answer did.")


def _events(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each event. An event that no empty line ends is not whole, but the last one is still looked at."""
    data: list[bytes] = []
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text.startswith(b"data:"):
            data.append(text[5:].removeprefix(b" "))
        elif not text and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _piece(event: Any) -> Piece | None:
    choices = event.get("choices") if isinstance(event, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None  # the event of the usage has no choices
    delta = choices[0].get("delta")
    delta = delta if isinstance(delta, dict) else {}
    finish = choices[0].get("finish_reason")
    return Piece(
        _text(delta.get("content")),
        _text(delta.get("reasoning")) or _text(delta.get("reasoning_content")),
        finish if isinstance(finish, str) else None,
    )


def sentence(body: Any) -> str:
    """The message of OpenAI's error object, or of what servers send instead; empty where there is none."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error", body)
    found = error if isinstance(error, str) else None
    if isinstance(error, dict):
        found = error.get("message") or error.get("detail")
    return found.strip() if isinstance(found, str) else ""


def printable(text: str) -> str:
    """Text for a terminal: a model's control characters must not move its cursor or set its title."""
    return "".join(character for character in text if character in "\n\t" or _is_plain(character))


def _is_plain(character: str) -> bool:
    return ord(character) >= 0xA0 or 0x20 <= ord(character) < 0x7F


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shown(data: bytes) -> str:
    text = data[:200].decode("utf-8", "replace")
    return printable(text) + ("…" if len(data) > 200 else "")
