"""Whether the requests that a mapping rule makes are what an API declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema_rs import meta

from artifacts.csv_mapping import LEAF_TYPES, CsvMapping, Fault, children
from artifacts.json_node import JsonObject
from artifacts.standard_schema import NotStandard, standard_schema

# What can be of one form or another is not compared.
CHOICES = frozenset({"anyOf", "oneOf", "not", "if"})
NUMBERS = frozenset({"number", "integer"})
NAMES = 10

Schema = Mapping[str, Any]


def misfits(mapping: CsvMapping, schema: Schema) -> Iterator[Fault]:
    """What a rule fills that the request's schema does not declare, and what it leaves out of what that requires."""
    try:
        declared = standard_schema(schema)
    except NotStandard:
        return
    if not meta.is_valid(declared):
        return
    pointers = [leaf.pointer.split("/") for leaf in mapping.leaves]
    filled = {"/".join(parts[:length]) for parts in pointers for length in range(1, len(parts) + 1)}
    yield from _compared(mapping.rule, "", declared, filled)


def _compared(rule: JsonObject, pointer: str, declared: object, filled: set[str]) -> Iterator[Fault]:
    parts = list(_parts(declared))
    if any(CHOICES & part.keys() for part in parts):
        return
    kind = _kind(rule)
    if any(not _is_of_type(kind, part) for part in parts):
        types = " or ".join(dict.fromkeys(name for part in parts for name in _types(part)))
        yield Fault(pointer, f"The rule makes a value of type {kind} where the API declares {types}.")
        return
    below = [child for child in children(rule, pointer) if child[0] in filled]
    if kind == "object":
        yield from _other_names(pointer, [name for _, name, _ in below], parts)
    for position, (place, name, child) in enumerate(below):
        if isinstance(child, dict):
            found = [_member(part, name, position, kind) for part in parts]
            yield from _compared(child, place, {"allOf": found}, filled)


def _parts(declared: object) -> Iterator[Schema]:
    """A schema, and those that hold beside it."""
    if isinstance(declared, Mapping):
        yield declared
        for other in declared.get("allOf") or ():
            yield from _parts(other)


def _kind(rule: JsonObject) -> str:
    if rule.get("type") in LEAF_TYPES:
        return str(rule["type"])
    return "object" if isinstance(rule.get("properties"), dict) else "array"


def _types(schema: Schema) -> Sequence[str]:
    declared = schema.get("type", ())
    return [declared] if isinstance(declared, str) else declared


def _is_of_type(kind: str, schema: Schema) -> bool:
    types = _types(schema)
    return not types or kind in types or (kind in NUMBERS and not NUMBERS.isdisjoint(types))


def _other_names(pointer: str, names: Sequence[str], parts: Sequence[Schema]) -> Iterator[Fault]:
    declared = {name for part in parts for name in part.get("properties") or ()}
    is_open = any(
        part.get("patternProperties") or part.get("additionalProperties", False) is not False for part in parts
    )
    is_closed = any(part.get("additionalProperties") is False for part in parts)
    unknown = [] if is_open or not (declared or is_closed) else [name for name in names if name not in declared]
    if unknown:
        yield Fault(pointer, f"The API does not declare {_listed(unknown)}, which the rule fills.")
    required = dict.fromkeys(name for part in parts for name in part.get("required") or ())
    left_out = [name for name in required if name not in names]
    if left_out:
        yield Fault(pointer, f"The API requires {_listed(left_out)}, which the rule leaves out.")


def _member(schema: Schema, name: str, position: int, kind: str) -> object:
    """What is declared of a property, or of an item."""
    if kind == "object":
        properties = schema.get("properties")
        return properties.get(name) if isinstance(properties, Mapping) else None
    places = schema.get("prefixItems") or ()
    return places[position] if position < len(places) else schema.get("items")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more
