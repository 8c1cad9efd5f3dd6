"""The chart's generated files, from the models: `values.yaml`, `values.schema.json`, the presets of hardware and the
table of the README. Pure; written by `python -m penstock.chart`, and held to the files by a test.
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any, get_origin

import yaml

from penstock.chart.values import ChartValues
from penstock.config.base import Section
from penstock.config.keys import key_of, section_inside, without_none
from penstock.config.presets import PRESETS
from penstock.config.reference import tables
from penstock.config.schema import json_schema

REGENERATE = "make chart-files"
_WIDTH = 120
_NOT_ON_A_CLUSTER = {("gateway", "host")}
"""Keys of the document that mean nothing in a pod: a gateway there listens on all of the pod's addresses."""


def files() -> dict[str, str]:
    """Text of every generated file, by its path in the chart."""
    return {
        "values.yaml": values_yaml(),
        "values.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "files/hardware.yaml": hardware_yaml(),
        "VALUES.md": values_markdown(),
    }


def schema() -> dict[str, Any]:
    """The JSON schema that Helm checks values with. Helm knows draft 7."""
    made = json_schema(ChartValues)
    return {**made, "$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart penstock"}


def values_yaml() -> str:
    """The default values, each under its meaning."""
    head = (
        f"# Written by `{REGENERATE}` from the models in serve/penstock/chart and serve/penstock/config.\n"
        "# The document, as in penstock.yaml, and beside it what only a cluster needs.\n"
    )
    return head + "".join(_lines(ChartValues.model_construct(), ())).replace("\n\n\n", "\n\n")


def values_markdown() -> str:
    """The reference of all values."""
    intro = "Durations and sizes are written with units: `90s`, `10m`, `32Mi`.\n"
    made = f"<!-- Written by `{REGENERATE}`. -->\n\n# Values\n\n{intro}\n"
    return made + "\n".join(tables(ChartValues))


def hardware_yaml() -> str:
    """The presets of hardware, for the chart's templates."""
    presets = {
        name: preset.model_dump(mode="json", by_alias=True, exclude_defaults=True) for name, preset in PRESETS.items()
    }
    return f"# Written by `{REGENERATE}` from serve/penstock/config/presets.py.\n" + _yaml(presets)


def _lines(section: Section, path: tuple[str, ...]) -> Iterator[str]:
    indent = "  " * len(path)
    written = section.model_dump(mode="json", by_alias=True)
    for name, field in type(section).model_fields.items():
        key = key_of(name, field)
        if (*path, key) in _NOT_ON_A_CLUSTER:
            continue
        if not path:
            yield "\n"
        words = " ".join(inspect.cleandoc(field.description or "").split())
        for line in textwrap.wrap(words, _WIDTH - len(indent) - 2, break_on_hyphens=False, break_long_words=False):
            yield f"{indent}# {line}\n"
        value = getattr(section, name)
        if isinstance(value, Section) and section_inside(field.annotation) and not _is_map(field.annotation):
            yield f"{indent}{key}:\n"
            yield from _lines(value, (*path, key))
        else:
            yield f"{indent}{key}: {_inline(written[key])}\n"


def _is_map(annotation: Any) -> bool:
    return get_origin(without_none(annotation)) is dict


def _inline(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=True)
    return text.removesuffix("...\n").strip()


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=None)
