"""Ways from the roots of a schema to each of its types, and documents that go them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
)

from gql.federation import Keys
from tests.generated_values import is_one_of
from tests.reading_stage import Case
from tests.seen_values import Seen, is_bare, selection

PAGE_SIZE = 20
VARIANTS = 4


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a type: the fields from the root, each with the type that it is a field of."""

    steps: tuple[tuple[str, str], ...]
    end: str


def ways(schema: GraphQLSchema) -> Sequence[Way]:
    """A shortest way to each type with fields by fields that need no argument."""
    assert schema.query_type is not None
    found = {schema.query_type.name: Way((), schema.query_type.name)}
    waiting = [schema.query_type.name]
    while waiting:
        way = found[waiting.pop(0)]
        for name, field in _bare_fields(schema.type_map[way.end]):
            below = get_named_type(field.type)
            for kind in (below, *_members(schema, below)):
                if kind.name not in found and not isinstance(kind, GraphQLUnionType) and _has_fields(kind):
                    found[kind.name] = Way((*way.steps, (way.end, name)), kind.name)
                    waiting.append(kind.name)
    return list(found.values())


def along(schema: GraphQLSchema, way: Way, tail: str, *, variables: str = "") -> str:
    """A document that goes the way, with the selection set `tail` at its end."""
    text, following = tail, way.end
    for owner, name in reversed(way.steps):
        field = _field(schema, owner, name)
        if following != get_named_type(field.type).name:
            text = f"{{ __typename ... on {following} {text} }}"
        size = f"(first: {PAGE_SIZE})" if "first" in field.args else ""
        text, following = f"{{ __typename {name}{size} {text} }}", owner
    return f"query {variables} {text}"


def end_of(way: Way, answer: Any) -> Iterator[dict[str, Any]]:
    """The objects at the end of the way in the answer to it."""
    values = [answer]
    for _, name in way.steps:
        values = [below for value in values for below in _flat(value.get(name))]
    yield from values


def asked_by(schema: GraphQLSchema, keys: Keys, seen: Seen) -> Iterator[tuple[str, Case]]:
    """For each root that needs an argument, documents that ask it for what was seen: by id, by name, by all else."""
    assert schema.query_type is not None
    for name, field in schema.query_type.fields.items():
        if is_bare(field):
            continue
        (argument,) = [key for key, value in field.args.items() if is_required_argument(value)]
        kind = field.args[argument].type
        below = get_named_type(field.type)
        text = selection(schema, below, 1)
        for value in _inputs(schema, keys, kind, below, seen):
            document = f"query (${argument}: {kind}) {{ {name}({argument}: ${argument}) {text} }}"
            yield name, Case(document, {argument: value})


def paged_by(schema: GraphQLSchema, way: Way, seen: Seen) -> Iterator[Case]:
    """Documents that go the way and page every list at its end by cursors that were seen in such a list."""
    end = schema.type_map[way.end]
    for name, field in _bare_fields(end):
        if "after" not in field.args:
            continue
        inner = "{ __typename nodes { __typename } edges { cursor } pageInfo { startCursor endCursor } totalCount }"
        for place, cursor in enumerate(seen.cursors.get(f"{end.name}.{name}", [])[:VARIANTS]):
            given = ("after: $cursor", "before: $cursor, last: 5")[place % 2]
            tail = f"{{ __typename {name}({given}) {inner} }}"
            yield Case(along(schema, way, tail, variables="($cursor: String)"), {"cursor": cursor})


def _inputs(
    schema: GraphQLSchema, keys: Keys, kind: GraphQLInputType, below: GraphQLNamedType, seen: Seen
) -> Iterator[Any]:
    """Values for an argument of the type, as variables have them."""
    match kind:
        case GraphQLNonNull():
            yield from _inputs(schema, keys, kind.of_type, below, seen)
        case GraphQLList():
            yield list(_inputs(schema, keys, kind.of_type, below, seen))[:100]
        case GraphQLInputObjectType() if is_one_of(kind):
            for name, field in kind.fields.items():
                for value in _named(schema, keys, name, field.type, below, seen):
                    yield {name: value}
        case _:
            yield from _named(schema, keys, "id", kind, below, seen)


def _named(
    schema: GraphQLSchema, keys: Keys, name: str, kind: GraphQLInputType, below: GraphQLNamedType, seen: Seen
) -> Iterator[Any]:
    """What the objects seen have under a name, or under the names of an input object's fields."""
    bare = get_named_type(kind)
    if bare.name == "_Any":
        yield from _representations(keys, seen)
    elif isinstance(bare, GraphQLInputObjectType):
        names = list(bare.fields)
        for found in seen.objects.get(below.name, [])[:VARIANTS]:
            if all(found.get(key) is not None for key in names):
                yield {key: found[key] for key in names}
    else:
        for member in (below, *_members(schema, below)):
            values = dict.fromkeys(found[name] for found in seen.objects.get(member.name, []) if found.get(name))
            yield from list(values)[:VARIANTS]


def _representations(keys: Keys, seen: Seen) -> Iterator[dict[str, Any]]:
    for kind, alternatives in keys.items():
        for names in alternatives:
            for found in seen.objects.get(kind, [])[:VARIANTS]:
                yield {"__typename": kind, **{name: found[name] for name in names}}


def _bare_fields(kind: GraphQLNamedType) -> Iterator[tuple[str, GraphQLField]]:
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in kind.fields.items():
            if is_bare(field) and not name.startswith("_"):
                yield name, field


def _field(schema: GraphQLSchema, owner: str, name: str) -> GraphQLField:
    kind = schema.type_map[owner]
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    found: GraphQLField = kind.fields[name]
    return found


def _has_fields(kind: GraphQLNamedType) -> bool:
    return isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)


def _members(schema: GraphQLSchema, kind: GraphQLNamedType) -> Sequence[GraphQLObjectType]:
    return schema.get_possible_types(kind) if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType) else ()


def _flat(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [below for entry in value for below in _flat(entry)]
    return [value] if value else []
