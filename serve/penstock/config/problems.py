"""What is wrong with a document, in words for the person who wrote it. Pure; used by reading and loading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from penstock.config.keys import choices_at, keys_of, paths_of, section_at
from penstock.config.models import Model
from penstock.config.setting import render_steps
from penstock.config.suggest import nearest
from penstock.config.tree import Node, Place, Steps, find, kind
from penstock.errors import DocumentError

LONGEST_TEXT = 80
_SECRET = re.compile(r"token|secret|password|passwd|credential|api_?key|access_?key|private_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    text: str
    """What was found and what is allowed."""

    place: Place | None = None
    steps: Steps = ()

    def __str__(self) -> str:
        parts = [str(self.place) if self.place else "", _printable(render_steps(self.steps)), self.text]
        return ": ".join(part for part in parts if part)


def document_error(problems: Iterable[Problem]) -> DocumentError:
    """One error that lists them all, in the order of the files."""
    lines = list(dict.fromkeys(str(problem) for problem in sorted(problems, key=_order)))
    if len(lines) == 1:
        return DocumentError(lines[0])
    return DocumentError("\n".join([f"The document has {len(lines)} problems:", *(f"  {line}" for line in lines)]))


def _order(problem: Problem) -> tuple[str, int]:
    place = problem.place
    return (place.name, place.line or 0) if place else ("", 0)


def problems_of(error: ValidationError, root: Node) -> list[Problem]:
    """Pydantic's findings about the document `root`, in our words and with their places."""
    problems = []
    for details in error.errors(include_url=False):
        steps = tuple(details["loc"])
        problems.append(Problem(_sentence(details, steps), find(root, steps).place, steps))
    return problems


def shown(value: Any, steps: Sequence[str | int] = ()) -> str:
    """A value in a sentence. Texts are cut, and those at a path that speaks of secrets are not shown at all."""
    if not isinstance(value, str):
        return kind(value)
    if any(isinstance(step, str) and _SECRET.search(step) for step in steps):
        return f"a text of {len(value)} characters"
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(value)} characters)"


_NEEDED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text (put it in quotes if it looks like a number or true)",
    "list": "a list",
    "dict": "a map of keys and values",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def _sentence(details: ErrorDetails, steps: Steps) -> str:
    error, context = details["type"], details.get("ctx", {})
    if error == "extra_forbidden":
        return unknown_key(str(steps[-1]), steps[:-1])
    if error in ("value_error", "refused"):
        return str(context.get("error") or context.get("reason"))
    if error == "missing":
        return "is missing"
    found = f"found {shown(details['input'], steps)}"
    if error == "literal_error":
        return found + _choices(details["input"], steps)
    return f"{found}; {_needed(error, context, steps) or details['msg']}"


def _needed(error: str, context: Mapping[str, Any], steps: Steps) -> str | None:
    if error in _BOUNDS:
        name, words = _BOUNDS[error]
        return f"it must be {words} {context[name]:g}"
    if error == "model_type" and (section := section_at(steps)):
        return f"needed is a map with the keys {', '.join(keys_of(section))}"
    needed = _NEEDED.get(error.partition("_")[0])
    return f"needed is {needed}" if needed else None


def _choices(value: Any, steps: Steps) -> str:
    choices = [str(choice) for choice in choices_at(steps)]
    hint = nearest(value, choices) if isinstance(value, str) else None
    meant = f"; did you mean {hint!r}?" if hint else "."
    return f"{meant} Allowed are {', '.join(choices)}"


def unknown_key(key: str, above: Steps) -> str:
    """The sentence for a key that the map at `above` does not have."""
    section = section_at(above)
    known = keys_of(section) if section else []
    text = f"unknown key `{_printable(key)}`"
    if (camel := to_camel(key)) in known:
        text += f"; documents are written in camelCase: `{camel}`."
    elif hint := nearest(key, known):
        text += f"; did you mean `{hint}`?"
    elif elsewhere := paths_of(camel):
        text += f"; it stands at {' and '.join(f'`{path}`' for path in elsewhere[:3])}."
    elif section is Model:
        text += "; options of the engine stand under `options`."
    else:
        text += "."
    return f"{text} Known are {', '.join(known)}"


def _printable(text: str) -> str:
    text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return text if len(text) <= 2 * LONGEST_TEXT else f"{text[: 2 * LONGEST_TEXT]}..."
