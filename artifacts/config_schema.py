"""The JSON Schemas of config.json (`data` of a request or response), in the dialect that real packages write."""

from collections.abc import Callable, Mapping
from typing import Final

from artifacts.json_node import JsonNode, JsonObject, JsonValue, closest, shown
from artifacts.json_text import parse_json

# `file` and `box` are of the official samples, the rest of JSON Schema and of param_type (modelarts_03_0076).
TYPES: Final = (
    "object", "array", "string", "number", "integer", "boolean", "null",
    "file", "box", "float", "int", "timestamp", "date",
)  # fmt: skip
_ALIASES: Final = {
    "list": "array", "tuple": "array", "dict": "object", "map": "object", "str": "string", "text": "string",
    "bool": "boolean", "double": "number", "long": "integer",
}  # fmt: skip
# What a schema may have an object for, and what says by itself that it is one.
_KEYWORDS: Final = frozenset({
    "type", "properties", "items", "additionalProperties", "patternProperties", "propertyNames", "contains", "not",
    "if", "then", "else", "const", "default", "example", "definitions", "dependencies", "dependentSchemas",
    "dependentRequired", "unevaluatedItems", "unevaluatedProperties", "contentSchema", "$defs", "$vocabulary",
})  # fmt: skip


def read_schema(node: JsonNode) -> JsonObject | None:
    """The schema as meant: `item` becomes `items`, `list` becomes `array`, each with a warning; None if it is none."""
    if node.value is None:
        node.doubt(f"The schema at {node.pointer} is null and is read as one that allows everything.")
        return {}
    if isinstance(node.value, str):
        return _read_text(node, node.value)
    if not isinstance(node.value, dict):
        node.refuse("a JSON Schema object")
        return None
    return _normalise(node, node.value)


def _read_text(node: JsonNode, text: str) -> JsonObject | None:
    if not text.strip():
        node.doubt_blank()
        return None
    if _named_type(text) is not None:
        node.doubt(f"{shown(text)} is read as a schema of that type.", hint='Write {"type": …}.')
        return {"type": _named_type(text)}
    document = parse_json(text.encode(errors="replace"), file=node.file)
    if document.root is None or document.findings.problems or not isinstance(document.root.value, dict):
        node.refuse("a JSON Schema object")
        return None
    node.doubt(f"The schema at {node.pointer} is written as a string.", hint="Write it as a JSON object.")
    return _normalise(node, document.root.value)


def _named_type(text: str) -> str | None:
    plain = text.strip().lower()
    return plain if plain in TYPES else _ALIASES.get(plain)


def _normalise(node: JsonNode, schema: Mapping[str, JsonValue]) -> JsonObject:
    result: JsonObject = {}
    for key, value in schema.items():
        name = _keyword(node.child(key, value), schema)
        result[name] = _member(node.child(key, value), name)
    if result and not _KEYWORDS & result.keys() and all(isinstance(value, dict) for value in result.values()):
        _doubt_bare_properties(node, result)
    return result


def _doubt_bare_properties(node: JsonNode, schema: JsonObject) -> None:
    names = ", ".join(shown(name) for name in list(schema)[:5])
    message = f"The schema at {node.pointer} has no properties: {names} stands where a keyword of JSON Schema would."
    hint = 'Write {"type": "object", "properties": {…}} around them; without properties no parameters are declared.'
    node.doubt(message, expected='"properties"', hint=hint)


def _keyword(node: JsonNode, schema: Mapping[str, JsonValue]) -> str:
    if node.key in ("item", "Items", "Type", "Properties", "propertys"):
        meant = {"item": "items", "propertys": "properties"}.get(node.key, node.key.lower())
        if meant not in schema:
            node.warn_of_key(f"The key {shown(node.key)} is read as {shown(meant)}.", f"Write {shown(meant)}.")
            return meant
    return node.key


def _member(node: JsonNode, name: str) -> JsonValue:
    readers: dict[str, Callable[[JsonNode], JsonValue]] = {
        "type": _type,
        "properties": _properties,
        "items": _items,
    }
    return readers[name](node) if name in readers else node.value


def _properties(node: JsonNode) -> JsonValue:
    if not isinstance(node.value, dict):
        node.refuse("an object with one JSON Schema for each property")
        return {}
    return {child.key: read_schema(child) for child in node.children()}


def _items(node: JsonNode) -> JsonValue:
    """One schema, or the older form of the official samples: an array of schemas, one for each place."""
    if isinstance(node.value, list):
        return [read_schema(child) for child in node.children()]
    return read_schema(node)


def _type(node: JsonNode) -> JsonValue:
    if isinstance(node.value, list):
        return [_type(child) for child in node.children()]
    if not isinstance(node.value, str):
        node.refuse("the name of a type")
        return None
    if node.value in TYPES:
        return node.value
    plain = node.value.strip().lower()
    meant = _ALIASES.get(plain) or closest(plain, TYPES)
    if meant is None:
        node.doubt(f"{shown(node.value)} is not a known type.", expected=", ".join(TYPES))
        return node.value
    message = f"The type {shown(node.value)} is read as {shown(meant)}."
    node.doubt(message, expected=meant, hint=f"Write {shown(meant)}.")
    return meant
