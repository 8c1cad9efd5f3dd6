from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.instances import minimal_instance

CASES: list[tuple[Any, Any]] = [
    ({"const": 3}, 3),
    ({"enum": ["b", "a"]}, "b"),
    ({"default": 5, "type": "integer"}, 5),
    ({"type": "string"}, "word"),
    ({"type": "string", "minLength": 6}, "wordss"),
    ({"type": "string", "maxLength": 2}, "wo"),
    ({"type": "string", "format": "date"}, "2000-01-01"),
    ({"type": "integer"}, 0),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "integer", "exclusiveMinimum": 3}, 4),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "number", "exclusiveMaximum": 0}, -0.5),
    ({"type": "boolean"}, False),
    ({"type": "null"}, None),
    ({"type": ["string", "null"]}, "word"),
    ({"type": []}, None),
    ({"type": "array", "items": {"type": "integer"}}, []),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}, {"a": 0}),
    ({"properties": {"a": {"type": "integer"}}, "required": ["a", "c"]}, {"a": 0, "c": None}),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 0),
    ({"oneOf": [{"type": "string"}]}, "word"),
    ({"allOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]}, {"a": None, "b": None}),
    ({"allOf": [{"type": "string"}]}, "word"),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 1}}}, 1),
    ({"$ref": "#/nowhere/at/all"}, None),
    (True, None),
]


@pytest.mark.parametrize(("schema", "instance"), CASES, ids=str)
def test_the_least_instance(schema: Any, instance: Any):
    assert minimal_instance(schema) == instance


def test_a_schema_without_end_ends():
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    depth, node = 0, minimal_instance(endless)
    while isinstance(node, dict):
        depth, node = depth + 1, node["a"]
    assert 0 < depth < 40


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "required", "items", "enum", "anyOf", "allOf", "$ref", "minimum"])
            | st.sampled_from(["maximum", "exclusiveMinimum", "minLength", "maxLength", "minItems", "format", "x"]),
            inner | st.sampled_from(["object", "array", "string", "integer", "number", "#", "#/items"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_schema_whatever_raises(schema: Any):
    minimal_instance(schema)
