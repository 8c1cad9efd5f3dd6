"""The JSON schema of the document: for editors, and for the chart's `values.schema.json`.

It says what can be said of one value at a time; that `min` is at most `max`, or that hardware exists, only loading
checks. It describes whole documents: a file that is meant to be merged into another may lack what it requires.
"""

from __future__ import annotations

import inspect
from typing import Any

from penstock.config.base import Section
from penstock.config.document import Document
from penstock.config.keys import section_inside, sections_in, written_defaults
from penstock.config.simulator import SimulatorOptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT_OF_NUMBER = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}


def json_schema(root: type[Document] = Document) -> dict[str, Any]:
    """The schema of a whole document, or of the chart's values, which are one with more keys."""
    schema = root.model_json_schema(by_alias=True)
    options = SimulatorOptions.model_json_schema(by_alias=True)
    definitions = {**schema.pop("$defs"), "SimulatorOptions": options}
    sections: list[type[Section]] = [*sections_in(root), SimulatorOptions]
    for section in sections:
        described = schema if section is root else definitions[section.__name__]
        _write_defaults(_object(described), section)
    _take_texts_for_numbers(options)
    definitions["Model"].update(_by_engine())
    definitions["SecretFrom"]["oneOf"] = [{"required": ["env"]}, {"required": ["file"]}]
    whole = {"$schema": DIALECT, "title": "Penstock's document", **_tidy({**schema, "title": None}), "$defs": {}}
    whole["$defs"] = {name: _tidy(definitions[name]) for name in sorted(definitions)}
    return whole


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a section's schema that has its keys; `replicas` has a shorthand beside it."""
    return schema if "properties" in schema else next(part for part in schema["anyOf"] if "properties" in part)


def _write_defaults(schema: dict[str, Any], section: type[Section]) -> None:
    defaults = written_defaults(section)
    fields = zip(schema["properties"].items(), section.model_fields.values(), strict=True)
    for (key, described), field in fields:
        described.pop("default", None)
        if key in defaults and section_inside(field.annotation) is None:
            described["default"] = defaults[key]


def _take_texts_for_numbers(schema: dict[str, Any]) -> None:
    # `--set` has no fractions: Helm hands 0.5 on as a text.
    for described in schema["properties"].values():
        if described.get("type") == "number":
            bounds = {key: described.pop(key) for key in ("minimum", "maximum", "type") if key in described}
            described["anyOf"] = [bounds, _TEXT_OF_NUMBER]


def _by_engine() -> dict[str, Any]:
    return {
        "if": {"properties": {"engine": {"const": "simulator"}}, "required": ["engine"]},
        "then": {"properties": {"options": {"$ref": "#/$defs/SimulatorOptions"}}},
        "else": {"required": ["source"], "properties": {"source": {"type": "string"}}},
    }


def _tidy(schema: Any) -> Any:
    """Without pydantic's titles, with descriptions on one line, and without unknown names in maps with a pattern."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            tidy[key] = {name: _tidy(described) for name, described in value.items()}
        elif key == "description":
            tidy[key] = " ".join(inspect.cleandoc(value).split())
        elif key == "default":
            tidy[key] = value
        elif key != "title":
            tidy[key] = _tidy(value)
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy
