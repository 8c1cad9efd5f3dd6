"""The least instance of a JSON schema: what `response_format` and forced tool calls are answered with.

Covers what people write in practice: types, enum, const, default, required, references inside the schema, anyOf and its
like, bounds of numbers, strings and arrays. A pattern is not followed.
"""

from __future__ import annotations

import math
from typing import Any

MAX_DEPTH = 32
"""A schema that refers to itself without end stops here with null."""

_FORMATS = {
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_LONGEST = 4096
"""Bound on made-up strings and arrays, whatever the schema asks for."""


def minimal_instance(schema: Any) -> Any:
    """An instance of a schema. Never raises: what is not understood becomes null or the least of its type."""
    return _instance(schema, schema, 0)


def _instance(schema: Any, root: Any, depth: int) -> Any:  # noqa: PLR0911  # a return per kind of schema
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if "const" in schema:
        return schema["const"]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    if "default" in schema:
        return schema["default"]
    if isinstance(reference := schema.get("$ref"), str):
        return _instance(_resolve(reference, root), root, depth + 1)
    for union in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(union), list) and parts:
            return _instance(parts[0], root, depth + 1)
    if isinstance(parts := schema.get("allOf"), list) and parts:
        return _merged([_instance(part, root, depth + 1) for part in parts])
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:  # noqa: PLR0911  # a return per type
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            count = min(_whole(schema.get("minItems")), _LONGEST)
            return [_instance(schema.get("items"), root, depth + 1)] * count
        case "string":
            return _string(schema)
        case "integer":
            return math.ceil(_number(schema, step=1))
        case "number":
            return _number(schema, step=0.5)
        case "boolean":
            return False
    return None


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    known = properties if isinstance(properties, dict) else {}
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return {name: _instance(known.get(name), root, depth + 1) for name in names}


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "word")
    text = text.ljust(min(_whole(schema.get("minLength")), _LONGEST), "s")
    longest = schema.get("maxLength")
    return text[: max(longest, 0)] if isinstance(longest, int) else text


def _number(schema: dict[str, Any], *, step: float) -> float:
    """The number nearest to 0 within the bounds."""
    value: float = 0
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if isinstance(low, int | float):
        value = max(value, low)
    if isinstance(above, int | float) and not isinstance(above, bool) and value <= above:
        value = above + step
    if isinstance(high, int | float):
        value = min(value, high)
    if isinstance(below, int | float) and not isinstance(below, bool) and value >= below:
        value = below - step
    return value if math.isfinite(value) else 0


def _whole(value: Any) -> int:
    return max(value, 0) if isinstance(value, int) else 0


def _resolve(reference: str, root: Any) -> Any:
    target = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
    return target


def _merged(instances: list[Any]) -> Any:
    if all(isinstance(instance, dict) for instance in instances):
        return {name: value for instance in instances for name, value in instance.items()}
    return instances[0]
