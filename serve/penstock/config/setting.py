"""`--set a.b=c` as Helm means it: one text holds any number of assignments. Pure; used by loading.

    models.demo.gpus=2,gateway.port=9000     several, separated by commas
    models.qwen2\\.5-7b.gpus=1                a backslash takes the meaning of the next character
    models.demo.aliases={a,b}                a list
    models.demo.aliases[0]=a                 one position of a list
    models.demo.gpus=null                    as if it were not written

`true`, `false`, `null` and whole numbers have their types, everything else is text. Where Helm loses something in
silence (an empty key, text after a closing brace), this is an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from penstock.config.tree import Key, Steps

Scalar = str | int | bool | None

DEEPEST = 30
LARGEST_INDEX = 65536
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_INDEX = re.compile(r"[0-9]{1,6}")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class SettingError(ValueError):
    """The text of a `--set` cannot be understood. The message says where and why."""


class Assignment(NamedTuple):
    """One value and where it goes."""

    steps: Steps
    value: Scalar | list[Scalar]


def parse_set(text: str, *, as_text: bool = False) -> list[Assignment]:
    """The assignments of one `--set`, or of one `--set-string` where `as_text`. Raises SettingError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingError("it is not valid UTF-8") from None
    if "\0" in text:
        raise SettingError("it holds a NUL character")
    reader = _Reader(text)
    assignments = []
    while not reader.ended:
        steps = _steps(reader)
        assignments.append(Assignment(steps, _value(reader, as_text=as_text)))
    if not assignments:
        raise SettingError("it is empty; write key=value, for example gateway.port=9000")
    return assignments


def render_set(assignments: Sequence[Assignment]) -> str:
    """The text that `parse_set` reads as these assignments.

    Texts that look like numbers or words (`"7"`, `"true"`) have no writing of their own: they need `--set-string`.
    """
    return ",".join(f"{render_steps(steps)}={_render_value(value)}" for steps, value in assignments)


def render_steps(steps: Sequence[Key]) -> str:
    """A path as it is written in a `--set`: `models.qwen2\\.5-7b.aliases[0]`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + re.sub(r"([\\.,=\[])", r"\\\1", step)
    return text


class _Reader:
    """Characters of a text one after another. A backslash and the character after it count as that character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    @property
    def ended(self) -> bool:
        return self.position >= len(self.text)

    def until(self, stops: str) -> tuple[str, str]:
        """What comes before the next of `stops`, and which that was; an empty one is the end of the text."""
        read: list[str] = []
        while not self.ended:
            character = self.text[self.position]
            self.position += 1
            if character in stops:
                return "".join(read), character
            if character == "\\":
                if self.ended:
                    raise SettingError("it ends in a backslash; a backslash needs a character after it")
                character = self.text[self.position]
                self.position += 1
            read.append(character)
        return "".join(read), ""

    def take(self, character: str) -> bool:
        """Steps over `character` if it comes next."""
        taken = self.text.startswith(character, self.position)
        self.position += taken
        return taken


def _steps(reader: _Reader) -> Steps:
    steps: list[Key] = []
    start = reader.position
    stop = "."
    while stop == ".":
        key, stop = reader.until("=[,.")
        if stop in ("", ","):
            raise SettingError(f"{_excerpt(reader, start)} has no value; write key=value")
        if not key:
            raise SettingError(f"{_excerpt(reader, start)} has an empty key")
        steps.append(key)
        while stop == "[":
            steps.append(_index(reader, start))
            junk, stop = reader.until("=[.")
            if junk or not stop:
                raise SettingError(f"{_excerpt(reader, start)}: after ] comes =, . or [")
        if len(steps) > DEEPEST:
            raise SettingError(f"it leads deeper than {DEEPEST} levels")
    return tuple(steps)


def _index(reader: _Reader, start: int) -> int:
    index, stop = reader.until("]")
    if not stop:
        raise SettingError(f"{_excerpt(reader, start)}: [ without ]")
    if _INDEX.fullmatch(index) is None or int(index) > LARGEST_INDEX:
        raise SettingError(f"{index[:40]!r} is no position in a list; write a number from 0 to {LARGEST_INDEX}")
    return int(index)


def _value(reader: _Reader, *, as_text: bool) -> Scalar | list[Scalar]:
    if not reader.take("{"):
        return _typed(reader.until(",")[0], as_text=as_text)
    start = reader.position - 1
    items: list[Scalar] = []
    stop = ","
    while stop == ",":
        item, stop = reader.until(",}")
        items.append(_typed(item, as_text=as_text))
    if not stop:
        raise SettingError(f"{_excerpt(reader, start)}: {{ without }}; write {{a,b}}, in quotes for the shell")
    if not reader.ended and not reader.take(","):
        raise SettingError(f"{_excerpt(reader, start)}: after }} comes a comma or the end")
    return items


def _typed(text: str, *, as_text: bool) -> Scalar:
    if as_text:
        return text
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    # Helm keeps a number with a leading zero as text, and so one beyond 64 bits.
    if text == "0" or (not text.startswith("0") and _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63):
        return int(text)
    return text


def _render_value(value: Scalar | list[Scalar]) -> str:
    if isinstance(value, list):
        return "{" + ",".join(_render_scalar(item) for item in value) + "}"
    return _render_scalar(value)


def _render_scalar(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return re.sub(r"([\\,{}])", r"\\\1", str(value))


def _excerpt(reader: _Reader, start: int) -> str:
    text = reader.text[start : max(reader.position, start + 1)]
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
