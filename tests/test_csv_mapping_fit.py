"""Rules of CSV mappings beside what an API declares: each by itself."""

from typing import Any

import pytest

from artifacts.csv_mapping import read_mapping
from artifacts.csv_mapping_fit import misfits


def number(index: int = 0) -> dict[str, Any]:
    return {"type": "number", "index": index}


def record(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def rows(*items: dict[str, Any]) -> dict[str, Any]:
    return record(data=record(req_data={"type": "array", "items": list(items)}))


def told(rule: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    return [f"{fault.pointer} {fault.message}" for fault in misfits(read_mapping(rule), schema)]


ANY: dict[str, Any] = {}
NAMED = record(x=number(), y=number(1))
TREE = {"type": "object", "properties": {"below": {"$ref": "#"}}}
NOT_DECLARED = " The API does not declare {}, which the rule fills."
REQUIRED = " The API requires {}, which the rule leaves out."
ROW = "/properties/data/properties/req_data/items/0"


@pytest.mark.parametrize(
    ("rule", "schema", "messages"),
    [
        (NAMED, record(a=ANY), [NOT_DECLARED.format("x, y")]),
        (NAMED, record("a", "y", a=ANY, x=ANY, y=ANY), [REQUIRED.format("a")]),
        (record(x=number(-1), y=number()), record("x", y=ANY), [REQUIRED.format("x")]),
        (NAMED, {"type": "object", "additionalProperties": False}, [NOT_DECLARED.format("x, y")]),
        (
            rows(NAMED),
            rows(record("x", "z", x={"type": "float"}, z=ANY)),
            [ROW + NOT_DECLARED.format("y"), ROW + REQUIRED.format("z")],
        ),
        (rows(NAMED), rows(ANY, record(y=ANY)), []),
        (
            record(x={"type": "string", "index": 0}),
            record(x={"type": "int"}),
            ["/properties/x The rule makes a value of type string where the API declares integer."],
        ),
        (NAMED, {"type": "array"}, [" The rule makes a value of type object where the API declares array."]),
        ({"items": number()}, NAMED, [" The rule makes a value of type array where the API declares object."]),
        (
            NAMED,
            {"$ref": "#/$defs/a", "required": ["b"], "$defs": {"a": record("x", x=ANY)}},
            [NOT_DECLARED.format("y"), REQUIRED.format("b")],
        ),
        (record(**{f"p{n}": number(n) for n in range(12)}), record(a=ANY),
         [NOT_DECLARED.format(", ".join(f"p{n}" for n in range(10)) + " and 2 more")]),
    ],
)  # fmt: skip
def test_what_a_rule_fills_and_leaves_out_is_told(
    rule: dict[str, Any], schema: dict[str, Any], messages: list[str]
) -> None:
    assert told(rule, schema) == messages


@pytest.mark.parametrize(
    "schema",
    [
        ANY,
        NAMED,
        {"type": "object"},
        record(x=ANY, y={"type": ["int", "null"]}),
        {"properties": {"a": ANY}, "additionalProperties": {"type": "number"}},
        {"properties": {"a": ANY}, "additionalProperties": ANY},
        {"properties": {"a": ANY}, "patternProperties": {"^[xy]$": ANY}},
        {"anyOf": [record(x=ANY), record(a=ANY)]},
        {"required": True, "properties": {"x": ANY, "y": ANY}},
        # What nobody can hold anything to is not compared.
        TREE,
        {"properties": ["a"], "required": 3},
    ],
)
def test_a_rule_that_fits_or_cannot_be_compared_is_nothing_to_tell_of(schema: dict[str, Any]) -> None:
    assert told(NAMED, schema) == []
