"""A conversation: what was said, and what a line of the person means. Pure. Used by `penstock chat`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

HELP = """\
/reset          forget what was said
/system [TEXT]  tell the model how to be; without a text, show it
/models         list the models
/model NAME     talk to another model
/help           this
/exit           leave (or Ctrl-D); Ctrl-C stops an answer"""


class Do(Enum):
    """What a line asks for."""

    SAY = auto()
    RESET = auto()
    SYSTEM = auto()
    MODELS = auto()
    MODEL = auto()
    HELP = auto()
    EXIT = auto()
    NOTHING = auto()
    UNKNOWN = auto()


class Line(NamedTuple):
    """What a line asks for, and the rest of it."""

    do: Do
    text: str = ""


_COMMANDS = {
    "reset": Do.RESET,
    "system": Do.SYSTEM,
    "models": Do.MODELS,
    "model": Do.MODEL,
    "help": Do.HELP,
    "exit": Do.EXIT,
    "quit": Do.EXIT,
}


def understand(line: str) -> Line:
    """A line beginning with / is a command; `//…` says a line that begins with /."""
    text = line.strip()
    if not text:
        return Line(Do.NOTHING)
    if text.startswith("//"):
        return Line(Do.SAY, text[1:])
    if not text.startswith("/"):
        return Line(Do.SAY, text)
    word, _, rest = text[1:].partition(" ")
    do = _COMMANDS.get(word.casefold(), Do.UNKNOWN)
    return Line(do, word if do is Do.UNKNOWN else rest.strip())


@dataclass
class Conversation:
    """What was said so far."""

    system: str = ""
    turns: list[dict[str, str]] = field(default_factory=list)

    def asking(self, question: str) -> list[dict[str, str]]:
        """The messages to send for a question. Nothing is remembered until `heard`."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.turns, {"role": "user", "content": question}]

    def heard(self, question: str, answer: str) -> None:
        """Remember a question and its answer, a stopped one as far as it came."""
        self.turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def reset(self) -> None:
        """Forget what was said; how to be stays."""
        self.turns.clear()
