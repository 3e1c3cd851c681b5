"""Declared schemas in the words of JSON Schema 2020-12."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from artifacts.standard_schema import NotStandard, standard_schema


@pytest.mark.parametrize(
    ("declared", "standard"),
    [
        ({"type": "file"}, {"type": "string", "format": "binary"}),
        ({"type": "box"}, {}),
        ({"type": ["float", "null"]}, {"type": ["number", "null"]}),
        ({"type": ["int", "box"]}, {}),
        ({"items": [{"type": "int"}]}, {"items": {"type": "integer"}}),
        ({"items": [{"type": "int"}, None]}, {"prefixItems": [{"type": "integer"}, {}]}),
        ({"items": []}, {}),
        ({"properties": {"a": {"required": True}}, "required": ["a"]}, {"properties": {"a": {}}, "required": ["a"]}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"minimum": 1, "exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "id": "x"}, {}),
        (
            {"items": {"$ref": "#/definitions/a~1b"}, "definitions": {"a/b": {"type": "int"}}},
            {"items": {"type": "integer"}},
        ),
        (
            {"$ref": "#/$defs/a", "title": "t", "$defs": {"a": {"minimum": 1}}},
            {"allOf": [{"minimum": 1}], "title": "t"},
        ),
        ({"unevaluatedProperties": {"type": "float"}}, {"unevaluatedProperties": {"type": "number"}}),
        ({"contentSchema": {"type": "float"}}, {"contentSchema": {"type": "number"}}),
        (
            {"unevaluatedProperties": {"$ref": "#/$defs/a"}, "$defs": {"a": {"minimum": 1}}},
            {"unevaluatedProperties": {"minimum": 1}},
        ),
        (
            {"dependencies": {"a": {"$ref": "#/$defs/a"}, "b": ["a"]}, "$defs": {"a": {"type": "int"}}},
            {"dependencies": {"a": {"type": "integer"}, "b": ["a"]}},
        ),
        ({"enum": [{"type": "file"}], "const": {"items": []}}, {"enum": [{"type": "file"}], "const": {"items": []}}),
    ],
)
def test_older_forms_are_translated(declared: dict[str, Any], standard: dict[str, Any]) -> None:
    assert standard_schema(declared) == standard
    Draft202012Validator(standard)


def exploding(depth: int) -> dict[str, Any]:
    """Each schema names the next one twice."""
    schemas = {str(n): {"anyOf": [{"$ref": f"#/definitions/{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/definitions/0", "definitions": schemas | {str(depth): {}}}


def deep(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    "declared",
    [
        {"$ref": "#"},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/definitions/none"},
        {"$ref": "#/type", "type": "object"},
        {"$ref": 3},
        {"$dynamicRef": "#a"},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        exploding(30),
        deep(500),
        {"patternProperties": {f"^{n}": {"pattern": "a"} for n in range(26)}},
        {"unevaluatedProperties": {"patternProperties": {f"^{n}": {} for n in range(51)}}},
        {"contentSchema": {"$ref": "#"}},
    ],
)
def test_what_refers_elsewhere_or_without_an_end_is_told(declared: dict[str, Any]) -> None:
    with pytest.raises(NotStandard):
        standard_schema(declared)
