"""Federation: this graph as gateways put it together with others, and what they ask it for by type and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from graphql import (
    REMOVE,
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    Visitor,
    VisitorAction,
    build_ast_schema,
    parse,
    print_ast,
    print_schema,
    visit,
)
from strawberry.federation.schema_directives import Key
from strawberry.schema import BaseSchema

from gql.bad_input import bad_input

REPRESENTATIONS_LIMIT = 1_000
DIRECTIVES = frozenset({"key", "shareable", "link"})
# graphql-core prints no directive that it knows by itself; tools that do not know this one need its definition.
ONE_OF = "directive @oneOf on INPUT_OBJECT"
DIRECTIVE_TYPES = ("_FieldSet", "link__Import", "link__Purpose")
GATEWAY_FIELDS = frozenset({"_entities", "_service"})
# A gateway cannot tell whose ids they are asked for, so that two graphs that have them do not compose.
RELAY_FIELDS = frozenset({"node", "nodes"})

Keys: TypeAlias = Mapping[str, Sequence[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Representation:
    """What a gateway knows of an object: its type, or an interface of it, and the values of one of its keys."""

    type_name: str
    key: Mapping[str, str]


def read_representations(values: Sequence[object], keys: Keys) -> list[Representation | GraphQLError]:
    """Each of `_entities(representations:)`, or what is wrong with it. Raises GraphQLError where they are too many."""
    if len(values) > REPRESENTATIONS_LIMIT:
        raise bad_input(f"At most {REPRESENTATIONS_LIMIT} representations at once; these are {len(values)}.")
    return [_representation_or_error(value, keys) for value in values]


def read_representation(value: object, keys: Keys) -> Representation:
    """The first key of the type that the representation holds whole; what else it holds is ignored.

    Raises GraphQLError for no object, for a type that is no entity and for no whole key of strings.
    """
    if not isinstance(value, Mapping):
        raise bad_input("A representation is an object with a __typename and the fields of a key.")
    type_name = value.get("__typename")
    if not isinstance(type_name, str):
        raise bad_input("A representation names its type in __typename.")
    if type_name not in keys:
        raise bad_input(f"{type_name[:80]!r} is not the name of an entity here.")
    present = [key for key in keys[type_name] if all(value.get(name) is not None for name in key)]
    for key in present:
        if all(isinstance(value[name], str) for name in key):
            return Representation(type_name, {name: value[name] for name in key})
    if present:
        raise bad_input(f"The key of a {type_name} is of strings: {_alternatives(present)}.")
    raise bad_input(f"A representation of a {type_name} holds a key: {_alternatives(keys[type_name])}.")


def entity_keys(schema: BaseSchema) -> Keys:
    """The keys by which gateways may ask for objects, by the name of the type or interface; `id` comes first."""
    found: dict[str, Sequence[tuple[str, ...]]] = {}
    for name, kind in schema.schema_converter.type_map.items():
        directives = getattr(kind.definition, "directives", None) or ()
        keys = [tuple(str(directive.fields).split()) for directive in directives if isinstance(directive, Key)]
        if keys:
            found[name] = sorted(keys, key=lambda key: key != ("id",))
    return found


def subgraph_sdl(schema: BaseSchema) -> str:
    """The graph as `_service { sdl }` gives it to gateways."""
    return print_ast(visit(parse(schema.as_str()), _Leaving(fields=GATEWAY_FIELDS | RELAY_FIELDS)))


def client_sdl(schema: BaseSchema) -> str:
    """The graph as its clients see it: nothing in it is for gateways, and any tool can read it."""
    document: DocumentNode = visit(parse(schema.as_str()), _Leaving(fields=GATEWAY_FIELDS, directives=DIRECTIVES))
    return f"{ONE_OF}\n\n{print_schema(build_ast_schema(document))}"


def hide_directives(schema: BaseSchema) -> None:
    """Take federation's directives and their scalars out of introspection: code generators stumble over them."""
    shown = schema._schema  # type: ignore[attr-defined]  # noqa: SLF001  Strawberry has no other name for it
    shown.directives = tuple(directive for directive in shown.directives if directive.name not in DIRECTIVES)
    for name in DIRECTIVE_TYPES:
        shown.type_map.pop(name, None)


class _Leaving(Visitor):
    """Leaves fields of Query, directives, and the types that only gateways use, out of a document."""

    def __init__(self, *, fields: frozenset[str], directives: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._fields = fields
        self._directives = directives

    def enter(self, node: object, *_: object) -> VisitorAction | ObjectTypeDefinitionNode:
        match node:
            case SchemaDefinitionNode() if self._directives:
                return REMOVE
            case DirectiveNode() if node.name.value in self._directives:
                return REMOVE
            case TypeDefinitionNode() if node.name.value.startswith("_"):
                return REMOVE
            case ObjectTypeDefinitionNode() if node.name.value == "Query":
                kept = tuple(field for field in node.fields or () if field.name.value not in self._fields)
                return replace(node, fields=kept)
        return None


def _representation_or_error(value: object, keys: Keys) -> Representation | GraphQLError:
    try:
        return read_representation(value, keys)
    except GraphQLError as error:
        return error


def _alternatives(keys: Sequence[tuple[str, ...]]) -> str:
    return ", or ".join(" and ".join(key) for key in keys)
