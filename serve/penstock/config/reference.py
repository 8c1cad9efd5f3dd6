"""The reference page of the document, `docs/configuration.md`, made from the models.

`python -m penstock.config.reference > docs/configuration.md` writes it; a test fails where page and models differ.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from penstock.config.base import Section
from penstock.config.document import Document
from penstock.config.hardware import parse_quantity
from penstock.config.keys import ANY_NAME, key_of, section_inside, without_none, written_defaults
from penstock.config.models import Replicas
from penstock.config.simulator import SimulatorOptions
from penstock.config.units import parse_duration, parse_size

REGENERATE = "python -m penstock.config.reference > docs/configuration.md"

_PARSED: dict[Any, str] = {parse_duration: "duration", parse_size: "size", parse_quantity: "quantity"}
_PLAIN: dict[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "`true`, `false`",
}

_TOP = f"""\
<!-- Written by `{REGENERATE}`. Change the models in serve/penstock/config instead. -->

# Configuration

One document says what is served, on what, and where: `penstock.yaml` on a laptop, and the same keys at the top of the
chart's values on a cluster. Every key has a default but a model's `source`. Keys are camelCase; unknown ones are
refused. `penstock schema` prints the JSON schema, for editors.

```yaml
models:
  qwen3-8b:                      # the name that clients ask for
    source: hf://Qwen/Qwen3-8B
    hardware: nvidia-l4
    replicas: {{min: 0, max: 4}}   # goes away when nobody asks for it
    options: {{max_model_len: 8192}}
    aliases: [default]
hardware:
  nvidia-l4:
    resources: {{nvidia.com/gpu: 1}}
gateway:
  port: 8000
```

## Several files

`-f base.yaml -f site.yaml` merges files in their order. Maps are merged key by key and the later file wins; a list is
replaced whole; `null` deletes what an earlier file says, so that the default applies. This is how Helm merges values.

YAML is read strictly: a key that stands twice is an error, and so is what versions of YAML read differently (`yes`,
`on`, `010`): put it in quotes, or write `true`, `false` or a plain number.

## --set

`--set` changes single values after all files, as in Helm:

| `--set` | means |
|---|---|
| `gateway.port=9000` | a number; `true`, `false` and `null` have their types too, everything else is text |
| `gateway.port=9000,logging.level=debug` | two settings |
| `'models.demo.aliases={{a,b}}'` | a list |
| `'models.demo.aliases[0]=a'` | one position of a list |
| `'models.qwen2\\.5-7b.gpus=2'` | a name with a dot in it; `\\,` is a comma in a value |
| `models.demo.gpus=null` | as if no file said anything |

`--set-string` is the same and takes every value for text. On a command line, quote what holds braces, brackets or
backslashes.

## Sources

| `source` | weights |
|---|---|
| `hf://org/repo`, `hf://org/repo@revision` | of a repository on the Hugging Face hub, or on a mirror of it |
| `s3://bucket/prefix` | under a prefix in S3, or in a service with its protocol |
| `gs://bucket/prefix` | under a prefix in Google Cloud Storage |
| `pvc://claim/path` | on a persistent volume claim |
| `file:///path` | in a folder |
| `path`, `~/path` | in a folder; relative to the file that this is written in, in a `--set` to the current folder |

## Units

A duration is a number of seconds or has units: `250ms`, `90s`, `10m`, `1h30m`, `2d`. A size is a number of bytes or
has a unit: `512Ki`, `32Mi`, `1.5Gi`, `200M`.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_TOP, "## The whole document\n", *tables(Document, "")]
    parts += ["## `models.<name>.options` of the simulator\n", _meaning(inspect.getdoc(SimulatorOptions) or "") + "\n"]
    parts += [_table(SimulatorOptions, "")]
    return "\n".join(parts)


def tables(section: type[Section], path: str = "") -> Iterator[str]:
    """The section's table, then those of the sections below it. Also used for the chart's values."""
    if path:
        yield f"## `{path}`\n"
        yield _meaning(inspect.getdoc(section) or "") + "\n"
    yield _table(section, path)
    for name, field in section.model_fields.items():
        if inside := section_inside(field.annotation):
            yield from tables(inside, _path_inside(path, name, field))


def _table(section: type[Section], path: str) -> str:
    defaults = written_defaults(section)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        key = key_of(name, field)
        inside = section_inside(field.annotation)
        default = "" if inside or key not in defaults else f"`{_written(defaults[key])}`"
        kind = _type(field.annotation, field.metadata)
        if inside:
            target = _path_inside(path, name, field)
            kind = f"[{kind}](#{_anchor(target)})"
        rows.append(f"| `{key}` | {kind} | {default} | {_cell(_meaning(field.description or ''))} |")
    return "\n".join(rows) + "\n"


def _path_inside(path: str, name: str, field: FieldInfo) -> str:
    inside = f"{path}.{key_of(name, field)}" if path else key_of(name, field)
    return f"{inside}.{ANY_NAME}" if get_origin(without_none(field.annotation)) is dict else inside


def _type(annotation: Any, metadata: list[Any]) -> str:
    metadata = [*metadata, *_inner_metadata(annotation)]
    kind = without_none(annotation)
    for item in metadata:
        if isinstance(item, BeforeValidator) and item.func in _PARSED:
            return _PARSED[item.func] + _bounds(metadata)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) in (list, dict):
        return _collection(kind)
    if isinstance(kind, type) and issubclass(kind, Section):
        return "map or number" if kind is Replicas else "map"
    return _PLAIN.get(kind, "value") + _bounds(metadata)


def _collection(kind: Any) -> str:
    item = get_args(kind)[-1]
    if get_origin(kind) is list:
        return f"list of {_plural(item)}"
    if section_inside(item):
        return "map by name"
    return "map" if item is Any else f"map to {_plural(item)}"


def _plural(item: Any) -> str:
    words = _type(item, [])
    if get_origin(without_none(item)) is Literal:
        return words
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _bounds(metadata: list[Any]) -> str:
    limits = {name: getattr(item, name) for item in metadata for name in ("ge", "gt", "le") if hasattr(item, name)}
    words = {"ge": "at least", "gt": "more than", "le": "at most"}
    return "".join(f", {words[name]} {limit:g}" for name, limit in limits.items())


def _inner_metadata(annotation: Any) -> list[Any]:
    """What `Size | None` or `Quantity` say about themselves."""
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    return [item for kind in (annotation, *members) for item in getattr(kind, "__metadata__", ())]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _meaning(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split())


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _anchor(path: str) -> str:
    """The anchor that renderers of Markdown give a heading: letters, digits and - _ stay."""
    return "".join(character for character in path.lower() if character.isalnum() or character in "-_")


if __name__ == "__main__":
    sys.stdout.write(markdown())
