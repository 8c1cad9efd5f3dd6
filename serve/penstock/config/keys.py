"""What keys the document has, and where. Read off the models; used by problems and by the reference page."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from penstock.config.base import Section
from penstock.config.document import Document
from penstock.config.simulator import SimulatorOptions

ANY_NAME = "<name>"
"""Stands in a path for the keys of a map that a person chooses."""


def key_of(name: str, field: FieldInfo) -> str:
    """A field's key in documents."""
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def keys_of(section: type[Section]) -> list[str]:
    """The keys of a section in documents, in the order of the model."""
    return [key_of(name, field) for name, field in section.model_fields.items()]


def section_at(steps: Sequence[str | int]) -> type[Section] | None:
    """The model that describes the map at a path of a document; None where there is none."""
    section: Any = Document
    for position, step in enumerate(steps):
        if isinstance(section, type) and issubclass(section, Section):
            if position == 2 and steps[0] == "models" and step == "options":
                # Options are the engine's own; only the simulator's have a model, and only they are refused by one.
                section = SimulatorOptions
                continue
            field = next((field for name, field in section.model_fields.items() if key_of(name, field) == step), None)
            section = None if field is None else without_none(field.annotation)
        elif get_origin(section) in (dict, list):
            section = without_none(get_args(section)[-1])
        else:
            return None
    return section if isinstance(section, type) and issubclass(section, Section) else None


def choices_at(steps: Sequence[str | int]) -> tuple[Any, ...]:
    """The values allowed at a path, where it is one of a few words, or in a list of such."""
    if steps and isinstance(steps[-1], int):
        steps = steps[:-1]
    section = section_at(steps[:-1])
    fields = section.model_fields.items() if section else ()
    words = [field.annotation for name, field in fields if key_of(name, field) == steps[-1]]
    if words and get_origin(words[0]) is list:
        words = [get_args(words[0])[0]]
    return get_args(words[0]) if words and get_origin(words[0]) is Literal else ()


def sections_in(section: type[Section]) -> list[type[Section]]:
    """A section and all below it, each once, in the order of the document."""
    found = [section]
    for field in section.model_fields.values():
        inside = section_inside(field.annotation)
        if inside is not None:
            found += [further for further in sections_in(inside) if further not in found]
    return found


def section_inside(annotation: Any) -> type[Section] | None:
    """The section that a field holds: itself, or as the values of a map."""
    inside = without_none(annotation)
    if get_origin(inside) is dict:
        inside = without_none(get_args(inside)[1])
    return inside if isinstance(inside, type) and issubclass(inside, Section) else None


def written_defaults(section: type[Section]) -> dict[str, Any]:
    """What keys that are not written mean, as one would write it (`10m`), without those that default to nothing."""
    return {
        key: value
        for key, value in section.model_construct().model_dump(by_alias=True, mode="json").items()
        if value is not None
    }


def paths_of(key: str) -> list[str]:
    """Where else in the document a key of this name stands."""
    return [path for path in _every_path(Document, "") if path.rpartition(".")[2] == key]


def without_none(annotation: Any) -> Any:
    """`X | None` → `X`, `Annotated[X, ...]` → `X`."""
    if get_origin(annotation) is Annotated:
        return without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        return without_none(members[0]) if len(members) == 1 else annotation
    return annotation


def _every_path(section: type[Section], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        path = f"{prefix}{key_of(name, field)}"
        yield path
        if get_origin(without_none(field.annotation)) is dict:
            path = f"{path}.{ANY_NAME}"
        if inside := section_inside(field.annotation):
            yield from _every_path(inside, f"{path}.")
