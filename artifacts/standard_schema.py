"""Declared schemas in the words of JSON Schema 2020-12: config.json's dialect has older forms and types of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SCHEMA_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})
SCHEMA_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SCHEMAS: Final = frozenset(
    {
        "items",
        "additionalProperties",
        "contains",
        "not",
        "if",
        "then",
        "else",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    }
)
TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
OWN_TYPES: Final = {"float": "number", "int": "integer", "file": "string"}
REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
LEFT_OUT: Final = frozenset({"$schema", "$id", "id", "$defs", "definitions", "$anchor", "$dynamicAnchor", *REFERENCES})
MOST_SCHEMAS: Final = 5_000
DEEPEST: Final = 64
# Compiling one may take about 20 ms (see input_validator), in which nothing else runs: a second or so for all of them.
MOST_PATTERNS: Final = 50
EXCLUSIVE: Final = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


class NotStandard(Exception):
    """The schema refers to what it does not hold, to itself, or says too much."""


def standard_schema(schema: Mapping[str, Any], *, patterns: list[str] | None = None) -> dict[str, Any]:
    """The same schema in 2020-12, without references; a type that JSON Schema lacks (`box`) allows everything.

    An array of one schema as `items` means each item (the samples of modelarts_23_0092), of several one for each place.
    The schema's patterns are added to `patterns`, and counted with those that are there. Raises NotStandard.
    """
    return _Reading(schema, [] if patterns is None else patterns).schema(schema)


@dataclass(slots=True)
class _Reading:
    """One schema, on its way. Without references what comes of it costs no more to check than it is long."""

    root: Mapping[str, Any]
    patterns: list[str]
    followed: list[str] = field(default_factory=list)
    schema_count: int = 0
    depth: int = 0

    def schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        self.schema_count += 1
        self.depth += 1
        if self.schema_count > MOST_SCHEMAS or self.depth > DEEPEST:
            raise NotStandard(f"it has more than {MOST_SCHEMAS} schemas, or is deeper than {DEEPEST}")
        self.add_patterns(schema)
        standard = self.translated(schema)
        self.depth -= 1
        return standard

    def add_patterns(self, schema: Mapping[str, Any]) -> None:
        named = schema.get("patternProperties")
        written = [schema.get("pattern"), *(named if isinstance(named, Mapping) else ())]
        found = [pattern for pattern in written if isinstance(pattern, str)]
        self.patterns.extend(found)
        if found and len(self.patterns) > MOST_PATTERNS:
            raise NotStandard(f"there are more than {MOST_PATTERNS} patterns")

    def translated(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        standard: dict[str, Any] = {}
        for key, value in schema.items():
            if key not in LEFT_OUT:
                standard |= self.member(key, value, schema)
        if schema.get("type") == "file":
            standard["format"] = "binary"
        if any(name in schema for name in REFERENCES):
            return self.referred(schema, standard)
        return standard

    def referred(self, schema: Mapping[str, Any], beside: dict[str, Any]) -> dict[str, Any]:
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/") or reference in self.followed:
            raise NotStandard(f"it refers to {reference!r}")
        self.followed.append(reference)
        found = self.schema(self.found(reference))
        self.followed.pop()
        return {"allOf": [found], **beside} if beside else found

    def found(self, reference: str) -> Mapping[str, Any]:
        value: object = self.root
        for part in reference.removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            value = value.get(name) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            raise NotStandard(f"{reference!r} is no schema in it")
        return value

    def member(self, key: str, value: object, schema: Mapping[str, Any]) -> dict[str, Any]:
        match value:
            case _ if key == "type":
                return _type(value)
            case list() if key == "items":
                members = [*map(self.any, value)]
                return {"items": members[0]} if len(members) == 1 else {"prefixItems": members} if members else {}
            case bool() if key == "required":
                return {}
            case bool() if key in EXCLUSIVE:
                return {key: schema[EXCLUSIVE[key]]} if value and EXCLUSIVE[key] in schema else {}
            case dict() if key in SCHEMA_MAPS:
                return {key: {name: self.any(member) for name, member in value.items()}}
            case list() if key in SCHEMA_LISTS:
                return {key: [*map(self.any, value)]}
            case dict() if key in SCHEMAS:
                return {key: self.schema(value)}
        return {key: value}

    def any(self, value: object) -> object:
        return self.schema(value) if isinstance(value, dict) else {} if value is None else value


def _type(value: object) -> dict[str, Any]:
    names = value if isinstance(value, list) else [value]
    known = [OWN_TYPES.get(name, name) if isinstance(name, str) else None for name in names]
    if not known or not TYPES.issuperset(known):
        return {}
    return {"type": known if isinstance(value, list) else known[0]}
