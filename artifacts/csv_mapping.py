"""The mapping rule of a batch service over CSV files: which column of a row becomes which value of a request."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from artifacts.json_node import JsonObject, JsonValue, json_pointer

DEPTH_LIMIT = 32
LEAF_TYPES = ("string", "number", "integer", "boolean")
_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0"})


class RowRefused(ValueError):
    """A row that makes no request; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a request: where it is in the rule, what it is, and its column, from 0."""

    pointer: str
    name: str
    type: str
    index: int


@dataclass(frozen=True, slots=True)
class Fault:
    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """`rule` is a request's JSON Schema in which leaves have an `index`; only those with a good one are in `leaves`."""

    rule: JsonObject
    leaves: tuple[Leaf, ...]
    problems: tuple[Fault, ...]
    warnings: tuple[Fault, ...]

    def body(self, row: Sequence[str]) -> JsonValue:
        """The request of a row. Raises RowRefused."""
        return _value(self.rule, "", row, {leaf.pointer: leaf for leaf in self.leaves})


def read_mapping(rule: object) -> CsvMapping:
    """Reads a rule (modelarts_03_0082): an index that is none, or -1, leaves its parameter out, with a warning."""
    if not isinstance(rule, dict):
        return CsvMapping({}, (), (Fault("", "A rule is an object: the request's schema."),), ())
    leaves: list[Leaf] = []
    problems: list[Fault] = []
    warnings: list[Fault] = []
    for pointer, name, schema in _leaves(rule, "", "", 0, problems):
        index = schema.get("index")
        if isinstance(index, int) and not isinstance(index, bool) and index >= 0:
            leaves.append(Leaf(pointer, name, str(schema["type"]), index))
        else:
            warnings.append(Fault(pointer, f"{name or 'The request'} has no column of its own and is left out."))
    if not leaves and not problems:
        problems.append(Fault("", "No parameter of the rule has an index of 0 or more."))
    return CsvMapping(rule, tuple(leaves), tuple(problems), tuple(warnings))


def _leaves(
    schema: JsonObject, pointer: str, name: str, depth: int, problems: list[Fault]
) -> Iterator[tuple[str, str, JsonObject]]:
    if depth > DEPTH_LIMIT:
        problems.append(Fault(pointer, f"A rule is at most {DEPTH_LIMIT} levels deep."))
        return
    if schema.get("type") in LEAF_TYPES:
        yield pointer, name, schema
        return
    held = list(children(schema, pointer))
    if not held:
        kinds = ", ".join(LEAF_TYPES)
        problems.append(Fault(pointer, f"{name or 'The rule'} is none of {kinds}, and holds none."))
    for below, child_name, child in held:
        if isinstance(child, dict):
            yield from _leaves(child, below, child_name or name, depth + 1, problems)
        else:
            problems.append(Fault(below, "A schema is an object."))


def children(schema: JsonObject, pointer: str) -> Iterator[tuple[str, str, JsonValue]]:
    """Pointer, name and schema of what an object or array holds."""
    properties, items = schema.get("properties"), schema.get("items")
    if isinstance(properties, dict):
        for name, child in properties.items():
            yield f"{pointer}/properties{json_pointer([name])}", name, child
    elif isinstance(items, list):
        for position, child in enumerate(items):
            yield f"{pointer}/items/{position}", "", child
    elif isinstance(items, dict):
        yield f"{pointer}/items", "", items


class _Missing:
    """What a parameter without a column of its own becomes."""


def _value(schema: JsonObject, pointer: str, row: Sequence[str], leaves: Mapping[str, Leaf]) -> JsonValue:
    found = _filled(schema, pointer, row, leaves)
    return {} if isinstance(found, _Missing) else found


def _filled(schema: JsonObject, pointer: str, row: Sequence[str], leaves: Mapping[str, Leaf]) -> JsonValue | _Missing:
    if schema.get("type") in LEAF_TYPES:
        leaf = leaves.get(pointer)
        return _Missing() if leaf is None else _cell(leaf, row)
    filled = {
        name if isinstance(schema.get("properties"), dict) else below: _filled(child, below, row, leaves)
        for below, name, child in children(schema, pointer)
        if isinstance(child, dict)
    }
    kept = {name: value for name, value in filled.items() if not isinstance(value, _Missing)}
    if not kept:
        return _Missing()
    return kept if isinstance(schema.get("properties"), dict) else list(kept.values())


def _cell(leaf: Leaf, row: Sequence[str]) -> JsonValue:
    if leaf.index >= len(row):
        raise RowRefused(
            f"The row has {len(row)} columns, and {leaf.name} is to be the one with the index {leaf.index}."
        )
    text = row[leaf.index]
    if leaf.type == "string":
        return text
    converted = _converted(leaf.type, text.strip())
    if converted is None:
        raise RowRefused(f"{leaf.name} takes a value of type {leaf.type}, and the row has {text[:100]!r}.")
    return converted


def _converted(kind: str, text: str) -> JsonValue:
    """None for a text that is no such value."""
    if kind == "boolean":
        folded = text.lower()
        return folded in _TRUE if folded in _TRUE | _FALSE else None
    try:
        number = float(text) if kind == "number" else int(text)
    except ValueError:
        return None
    if isinstance(number, int):
        return number
    return number if math.isfinite(number) else None
