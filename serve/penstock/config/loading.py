"""Files and `--set`s → a checked Document. The only way in for the command line; everything wrong is a DocumentError.

Files are merged by key in their order, the later wins, lists are replaced whole, and null deletes. Then come the
`--set`s, then the `--set-string`s. A bare path as a model's source is relative to the folder of the file that it was
written in, or to the current folder in a `--set`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penstock.config.document import Document
from penstock.config.fitting import misfits, wishes_in
from penstock.config.problems import Problem, document_error, problems_of
from penstock.config.reading import read
from penstock.config.setting import SettingError, parse_set, render_steps
from penstock.config.tree import Node, Place, UnfitError, assign, find, from_plain, merge, to_plain, without_nulls


def load(
    paths: Sequence[Path],
    sets: Sequence[str] = (),
    set_strings: Sequence[str] = (),
    *,
    base: Mapping[str, Any] | None = None,
) -> Document:
    """The document of these files and settings, on top of `base`.

    Sources that are bare paths come out as `file://` and absolute. Raises DocumentError listing every problem found,
    each with file and line (or the `--set`), the path inside the document, what was found and what is allowed.
    """
    return check(_merged(paths, sets, set_strings, base))


def check(root: Node) -> Document:
    """A merged tree as a Document. Raises DocumentError as `load` does."""
    problems: list[Problem] = []
    root = _with_absolute_sources(without_nulls(root), problems)
    document = _validated(root, problems)
    if document is None or problems:
        raise document_error(problems)
    return document


def _merged(
    paths: Sequence[Path], sets: Sequence[str], set_strings: Sequence[str], base: Mapping[str, Any] | None
) -> Node:
    problems: list[Problem] = []
    root = from_plain(base or {}, Place("base"))
    for path in paths:
        if (layer := read(path, problems)) is not None:
            root = merge(root, layer)
    for option, texts in (("--set", sets), ("--set-string", set_strings)):
        for text in texts:
            root = _set(root, text, option, problems)
    if problems:
        # The rest would be judged without what could not be read.
        raise document_error(problems)
    return root


def _set(root: Node, text: str, option: str, problems: list[Problem]) -> Node:
    try:
        for steps, value in parse_set(text, as_text=option == "--set-string"):
            place = Place(f"{option} {render_steps(steps)}")
            root = assign(root, steps, from_plain(value, place))
    except (SettingError, UnfitError) as error:
        # Only the keys: what is set may be long, and may be a secret in the wrong place.
        problems.append(Problem(str(error), Place(f"{option} {text.partition('=')[0][:60]!r}")))
    return root


def _validated(root: Node, problems: list[Problem]) -> Document | None:
    plain = to_plain(root)
    try:
        return Document.model_validate(plain, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        found = problems_of(error, root)
    # The document's own checks only ran if every section is right by itself; so they run here on what there is.
    reported = {problem.steps for problem in found}
    further = [Problem(finding.reason, find(root, finding.path).place, finding.path)
               for finding in misfits(*wishes_in(plain)) if finding.path not in reported]  # fmt: skip
    problems.extend([*found, *further])
    return None


def _with_absolute_sources(root: Node, problems: list[Problem]) -> Node:
    models = root.value.get("models")
    if models is None or not isinstance(models.value, dict):
        return root
    for name, model in models.value.items():
        source = model.value.get("source") if isinstance(model.value, dict) else None
        if source is None or not isinstance(source.value, str) or "://" in source.value or not source.value.strip():
            continue
        steps = ("models", name, "source")
        try:
            address = f"file://{_absolute(source.value, source.place.folder)}"
        except ValueError as error:
            problems.append(Problem(str(error), source.place, steps))
        else:
            root = assign(root, steps, Node(address, source.place))
    return root


def _absolute(text: str, folder: Path | None) -> str:
    if "\0" in text:
        raise ValueError("a path holds no NUL character")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"the home folder in {text!r} cannot be found; write the path without ~") from None
    return os.path.abspath((folder or Path.cwd()) / path)  # noqa: PTH100  # Path.resolve would follow links
