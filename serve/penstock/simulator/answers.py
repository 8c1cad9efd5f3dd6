"""The whole of an answer, decided before its first token is due: a pure function of request and seed.

Used by all routes that answer with text; what remains for them is shape and pace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from penstock.simulator import words
from penstock.simulator.instances import minimal_instance


class Answer(NamedTuple):
    """What is said, token by token.

    `pieces` are the texts of the tokens; with a stop string the last ones may be empty, for tokens that were made and
    are not shown. `stop_reason` is the stop string that ended it. With `tool`, the pieces are that call's arguments.
    """

    pieces: list[str]
    finish_reason: str
    stop_reason: str | None = None
    tool: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def stopped(self, tokens: int) -> Answer:
        """What there is of it when it is stopped after so many tokens."""
        if tokens >= len(self.pieces):
            return self
        return self._replace(pieces=self.pieces[:tokens], finish_reason="abort", stop_reason=None)


class Decision(NamedTuple):
    """Everything that is known about a reply before it begins: under which name, behind how long a prompt, what."""

    model: str
    prompt_tokens: int
    answers: list[Answer]

    @property
    def tokens(self) -> int:
        """Tokens of all answers."""
        return sum(len(answer.pieces) for answer in self.answers)

    @property
    def steps(self) -> int:
        """Tokens of the longest answer; the answers are made side by side."""
        return max(len(answer.pieces) for answer in self.answers)

    def stopped(self, tokens: int) -> Decision:
        """What there is of it when it is stopped after so many tokens of each answer."""
        return self._replace(answers=[answer.stopped(tokens) for answer in self.answers])


def made_up(key: bytes, *, asked: int | None, usual: int, room: int, stops: Sequence[str] = ()) -> Answer:
    """Words from `key`: as many as asked for, or the usual number; never more than there is room for.

    It ends by "length" where a limit cut it, and by "stop" where it had its usual length or met a stop string.
    """
    wanted = asked if asked is not None else usual
    pieces = words.made_up(key, min(wanted, room))
    reason = "length" if asked is not None or room < wanted else "stop"
    return _stopped(pieces, reason, stops)


def of_text(text: str, *, asked: int | None, room: int, tool: str | None = None) -> Answer:
    """A text that is given, such as JSON; ends by "length" where a limit cut it."""
    pieces = words.split(text)
    limit = room if asked is None else min(asked, room)
    return Answer(pieces[:limit], "stop" if len(pieces) <= limit else "length", tool=tool)


def instance_text(schema: Any) -> str:
    """The least JSON text that a schema allows."""
    return orjson.dumps(minimal_instance(schema), option=orjson.OPT_NON_STR_KEYS).decode()


def _stopped(pieces: list[str], reason: str, stops: Sequence[str]) -> Answer:
    text = "".join(pieces) if stops else ""
    found = [(place, stop) for stop in stops if (place := text.find(stop)) >= 0]
    if not found:
        return Answer(pieces, reason)
    place, stop = min(found)
    shown: list[str] = []
    start = 0
    for piece in pieces:
        if start >= place + len(stop):
            break
        shown.append(piece[: max(0, place - start)])
        start += len(piece)
    return Answer(shown, "stop", stop)
