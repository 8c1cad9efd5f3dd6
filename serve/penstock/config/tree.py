"""A document while it is put together: values that know where they were written. Pure; used by loading and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Key = str | int
Steps = tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a file and its line (from 1), or a `--set`."""

    name: str
    line: int | None = None
    folder: Path | None = None
    """What relative paths are relative to; None is the current folder."""

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place. Maps and lists hold nodes, everything else is a scalar of JSON."""

    value: Any
    place: Place


class UnfitError(ValueError):
    """A path leads through a value that has nothing inside. The message says where."""


def from_plain(value: Any, place: Place) -> Node:
    """Nodes that all stand at one place."""
    if isinstance(value, Mapping):
        return Node({str(key): from_plain(item, place) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([from_plain(item, place) for item in value], place)
    return Node(value, place)


def to_plain(node: Node) -> Any:
    """The bare maps, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: to_plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [to_plain(item) for item in node.value]
    return node.value


def merge(lower: Node, upper: Node) -> Node:
    """Maps are merged by key, anything else of `upper` replaces what `lower` has. A null stays, as a deletion that
    `without_nulls` carries out after the last merge."""
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    merged = dict(lower.value)
    for key, item in upper.value.items():
        merged[key] = merge(merged[key], item) if key in merged else item
    return Node(merged, upper.place)


def without_nulls(node: Node) -> Node:
    """Keys whose value is null are as good as not written. Nulls in lists stay: they hold the others' positions."""
    if not isinstance(node.value, dict):
        return node
    return Node({key: without_nulls(item) for key, item in node.value.items() if item.value is not None}, node.place)


def assign(node: Node | None, steps: Steps, value: Node) -> Node:
    """A tree in which `value` stands at `steps`; what lacks on the way is made, holes in lists are null.

    Raises UnfitError where the way leads through a scalar, or through a map by index or a list by key.
    """
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    inside = None if node is None else node.value
    place = value.place if node is None or inside is None else node.place
    if isinstance(step, str):
        if inside is not None and not isinstance(inside, dict):
            raise UnfitError(f"{kind(inside)} has no key {step!r} inside")
        entries: dict[str, Node] = dict(inside or {})
        entries[step] = assign(entries.get(step), rest, value)
        return Node(entries, place)
    if inside is not None and not isinstance(inside, list):
        raise UnfitError(f"{kind(inside)} has no position [{step}] inside")
    items: list[Node] = list(inside or [])
    items.extend(Node(None, value.place) for _ in range(len(items), step + 1))
    items[step] = assign(items[step], rest, value)
    return Node(items, place)


def find(node: Node, steps: Sequence[Key]) -> Node:
    """The node at `steps`, or the deepest that there is on the way."""
    for step in steps:
        inside = _inside(node, step)
        if inside is None:
            break
        node = inside
    return node


def _inside(node: Node, step: Key) -> Node | None:
    if isinstance(node.value, list):
        item: Node | None = node.value[step] if isinstance(step, int) and step < len(node.value) else None
        return item
    return node.value.get(step) if isinstance(node.value, dict) else None


def kind(value: Any) -> str:
    """What a value is, for a sentence: `a map`, `the number 3`. Does not show texts."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {int(value) if value == value // 1 else value}"
    if isinstance(value, str):
        return "a text"
    return "a map" if isinstance(value, Mapping) else "a list"
