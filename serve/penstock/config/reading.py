"""One YAML file → a tree of values with their lines. Used by loading alone.

Read with PyYAML's safe loader, but built here, for four reasons: keys that stand twice are refused with both lines,
every value keeps its line, aliases cannot grow without bound, and what YAML 1.1 and 1.2 read differently (`on`, `010`)
is refused instead of being read by Helm as one thing and by us as another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from penstock.config.problems import Problem
from penstock.config.tree import Node, Place

LARGEST_FILE = 2**20
"""Bytes. What Kubernetes lets into one object, too."""

DEEPEST = 48
MOST_VALUES = 20_000

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_AMBIGUOUS_BOOL = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_AMBIGUOUS_INT = re.compile(r"[-+]?0[0-9_]+|0b[01_]+|0o[0-7]+|[-+]0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"
_TYPED = {_PLAIN, *(f"{_TAG}{name}" for name in ("null", "bool", "int", "float"))}
_COLLECTIONS = {f"{_TAG}map": yaml.MappingNode, f"{_TAG}seq": yaml.SequenceNode}


class _UnreadableError(Exception):
    """The file as a whole cannot be read."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


def read(path: Path, problems: list[Problem]) -> Node | None:
    """The values of a file, or None where it cannot be read at all. What is wrong is added to `problems`."""
    name = str(path)
    try:
        content = _content(path)
    except _UnreadableError as refusal:
        problems.append(Problem(refusal.text, Place(name)))
        return None
    return parse(content, name, path.absolute().parent, problems)


def parse(content: bytes, name: str, folder: Path, problems: list[Problem]) -> Node | None:
    """The values of a file's content, as `read` gives them."""
    try:
        document = _composed(_text(content))
        builder = _Builder(name, folder, problems)
        root = builder.build(document, builder.place(document), 0)
    except _UnreadableError as refusal:
        problems.append(Problem(refusal.text, Place(name, refusal.line, folder)))
        return None
    if isinstance(root.value, dict):
        return root
    what = "a list" if isinstance(root.value, list) else "a single value"
    problems.append(Problem(f"holds {what}; a document is a map with keys such as models: and gateway:", root.place))
    return None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _UnreadableError("there is no such file") from None
    except IsADirectoryError:
        raise _UnreadableError("is a folder; name a file in it") from None
    except OSError as error:
        raise _UnreadableError(f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise _UnreadableError(f"is no name of a file: {error}") from None
    if len(content) > LARGEST_FILE:
        raise _UnreadableError(f"is larger than {LARGEST_FILE // 2**20} MiB; this is no document of Penstock")
    return content


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _UnreadableError(
            f"is not UTF-8: byte 0x{content[error.start]:02x} at {error.start}; save it as UTF-8", line
        ) from None


class _Loader(yaml.SafeLoader):
    """Bounds the nesting, which the composer follows by recursion, and leaves the types of plain scalars to us."""

    depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]  # in the stubs

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _UnreadableError(f"is nested deeper than {DEEPEST} levels", self.line + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _composed(text: str) -> yaml.Node:
    try:
        loader = _Loader(text)
        try:
            document = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _syntax(error) from None
    except (ValueError, OverflowError) as error:
        # PyYAML lets Python's own error through for "\UFFFFFFFF" and for absurd version numbers.
        raise _UnreadableError(f"is no valid YAML: {error}") from None
    if document is None:
        raise _UnreadableError("is empty; the smallest document is `models: {}`")
    return document


def _syntax(error: yaml.YAMLError) -> _UnreadableError:
    if isinstance(error, yaml.reader.ReaderError):
        # The stubs say that it is a text; it is a code point.
        return _UnreadableError(f"is no valid YAML: the character U+{int(error.character):04X} is not allowed")
    if not isinstance(error, yaml.MarkedYAMLError):
        return _UnreadableError(f"is no valid YAML: {error}")
    mark = error.problem_mark or error.context_mark
    problem = error.problem or ""
    if "'\\t'" in problem:
        problem = "a tab; YAML is indented with spaces"
    elif "mapping values are not allowed" in problem:
        problem = "a `: ` where none can be; put the text in quotes, or check the indentation of this line and the last"
    elif problem.startswith("but found another document"):
        problem = "a second document begins (---); one file holds one"
    elif "undefined alias" in problem:
        problem += "; an alias (*name) needs an anchor (&name) before it"
    elif error.context:
        problem = f"{error.context}, {problem}"
    return _UnreadableError(f"is no valid YAML: {problem}", mark.line + 1 if mark else None)


class _Builder:
    """YAML's nodes → ours. Counts what it builds, since an alias is built anew at every use."""

    def __init__(self, name: str, folder: Path, problems: list[Problem]) -> None:
        self._name = name
        self._folder = folder
        self._problems = problems
        self._count = 0

    def place(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, self._folder)

    def build(self, node: yaml.Node, place: Place, depth: int) -> Node:
        self._count_one(place, depth)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node), place)
        if _COLLECTIONS.get(node.tag) is not type(node):
            self._add(f"the tag {node.tag} means nothing here; leave it out", node)
            return Node(None, place)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.build(item, self.place(item), depth + 1) for item in node.value], place)
        assert isinstance(node, yaml.MappingNode)  # nothing else is left
        return Node(self._map(node, depth), place)

    def _count_one(self, place: Place, depth: int) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            text = f"holds more than {MOST_VALUES} values once its aliases (*name) are filled in"
            raise _UnreadableError(text, place.line)
        if depth > DEEPEST:
            raise _UnreadableError(f"is nested deeper than {DEEPEST} levels, or an alias holds itself", place.line)

    def _map(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                for source in self._merge_sources(value_node):
                    self._count_one(self.place(value_node), depth + 1)
                    merged = {**self._map(source, depth + 1), **merged}
                continue
            place = self.place(key_node)
            key = self._key(key_node)
            value = self.build(value_node, place, depth + 1)
            if key is None:
                continue
            if key in entries:
                self._add(f"the key {key!r} stands twice, on lines {lines[key]} and {place.line}; keep one", key_node)
            entries[key] = value
            lines[key] = place.line or 0
        return {**merged, **entries}

    def _merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                yield source
            else:
                self._add("`<<` takes a map or a list of maps", node)

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._add("a map or a list is used as a key; a key is a text", node)
            return None
        before = len(self._problems)
        key = self._scalar(node)
        if isinstance(key, str):
            return key
        if len(self._problems) == before:
            self._add(f"the key {node.value!r} is not a text; put it in quotes", node)
        return None

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag in _TYPED:
            return self._typed(text, node)
        if node.tag != f"{_TAG}str":
            self._add(f"the tag {node.tag} means nothing here; leave it out", node)
            return None
        if "\0" in text:
            self._add("a NUL character in a text", node)
            return None
        try:
            text.encode()
        except UnicodeEncodeError:
            self._add("half of a surrogate pair in a text, which is no character", node)
            return None
        return text

    def _typed(self, text: str, node: yaml.ScalarNode) -> Any:
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.casefold() == "true"
        if _AMBIGUOUS_BOOL.fullmatch(text):
            self._add(f"{text} is a text to some readers of YAML and true or false to others; write true or false, or"
                      f" put it in quotes", node)  # fmt: skip
        elif _AMBIGUOUS_INT.fullmatch(text):
            self._add(f"{text} is read as another number by some readers of YAML; write it without the leading zero,"
                      f" or put it in quotes", node)  # fmt: skip
        elif _NOT_FINITE.fullmatch(text):
            self._add(f"{text} is no number that JSON knows; put it in quotes if it is a text", node)
        elif _INT.fullmatch(text) or _HEX.fullmatch(text):
            return self._integer(text, node)
        elif _FLOAT.fullmatch(text):
            return self._float(text, node)
        else:
            return text
        return None

    def _integer(self, text: str, node: yaml.ScalarNode) -> int | None:
        digits = text.replace("_", "")
        number = int(digits, 0) if len(digits) <= 20 else 2**64
        if -(2**63) <= number < 2**63:
            return number
        self._add("a number beyond 64 bits; put it in quotes if it is a text", node)
        return None

    def _float(self, text: str, node: yaml.ScalarNode) -> float | None:
        number = float(text)
        if abs(number) != float("inf"):
            return number
        self._add("a number that is too large; put it in quotes if it is a text", node)
        return None

    def _add(self, text: str, node: yaml.Node) -> None:
        self._problems.append(Problem(text, self.place(node)))
