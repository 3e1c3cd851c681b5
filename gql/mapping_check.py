"""Whether the database has what the mapping names: a statement for each type and list, to be prepared only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    parse,
)
from graphql.execution.values import VariableValues

from db import reading
from db.reading import Parameter, ReadingPool, Statement
from gql import mapping as mapped
from gql.definition import input_field, strawberry_field
from gql.federation import Keys
from gql.filter import OrderDirection, choice_of
from gql.listing import Read, filtered, source_of, span_of
from gql.mapping import mapping_of, stored_kind
from gql.planned_column import Frame
from gql.planner import Planner
from gql.selection import Selections

NO_VARIABLES = VariableValues({}, {})
# What an argument of a relation is given: which value does not matter to the statement.
LITERALS = MappingProxyType({"String": '"any"', "DateTime": '"2026-01-01T00:00:00Z"'})


async def missing(pool: ReadingPool, schema: GraphQLSchema, keys: Keys) -> list[str]:
    """What the database lacks, behind the name of each type and list that cannot be read without it."""
    return await reading.missing(pool, statements(schema, keys))


def statements(schema: GraphQLSchema, keys: Keys) -> Iterator[tuple[str, Statement]]:
    """By its name a statement for each type and each view that has its rows, and for each list in each of its orders.

    The first read all columns, the others use all filters.
    """
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        stored = stored_kind(kind)
        if stored is not None:
            yield kind.name, _type_statement(schema, keys, kind, stored.view)
        for name, definition in kind.fields.items():
            field = strawberry_field(definition)
            mapping = mapping_of(field) if field else None
            if isinstance(mapping, mapped.ToMany):
                yield from _list_statements(f"{kind.name}.{name}", definition, mapping)
            if isinstance(mapping, mapped.Facets):
                yield _facet_statement(f"{kind.name}.{name}", definition, mapping)
            view = getattr(mapping, "view", None)
            if view is not None:
                for target in _targets(schema, definition):
                    yield f"{kind.name}.{name}", _type_statement(schema, keys, target, view)


def _targets(schema: GraphQLSchema, definition: GraphQLField) -> Sequence[GraphQLObjectType]:
    """The types of the rows that a relation leads to."""
    kind = get_named_type(definition.type)
    if isinstance(kind, GraphQLObjectType) and "nodes" in kind.fields:
        kind = get_named_type(kind.fields["nodes"].type)
    if isinstance(kind, GraphQLInterfaceType):
        return schema.get_possible_types(kind)
    assert isinstance(kind, GraphQLObjectType)
    return (kind,)


def _type_statement(schema: GraphQLSchema, keys: Keys, kind: GraphQLObjectType, view: str) -> Statement:
    planner = Planner(Selections(schema, {}, {}), NO_VARIABLES, keys)
    value = planner.row(kind, [_everything(kind)], Frame(planner.stored(kind)), ())
    return reading.statement([("value", reading.ToOne(reading.Source(view), value))])


def _everything(kind: GraphQLObjectType) -> FieldNode:
    """A field that asks for all fields of a type, and of objects only what has no columns of its own view."""
    asked = _all_fields(kind)
    operation = parse(f"{{ value {{ {asked} }} }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    field = operation.selection_set.selections[0]
    assert isinstance(field, FieldNode)
    return field


def _all_fields(kind: GraphQLObjectType) -> str:
    return " ".join(_asked(name, definition) for name, definition in kind.fields.items())


def _asked(name: str, definition: GraphQLField) -> str:
    field, target = strawberry_field(definition), get_named_type(definition.type)
    match mapping_of(field) if field else None:
        case None:
            return ""
        case mapped.ToMany():
            return f"{name} {{ totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ __typename }} }}"
        case mapped.Inline() if isinstance(target, GraphQLObjectType):
            return f"{name} {{ {_all_fields(target)} }}"
        case mapped.Inline() if isinstance(target, GraphQLUnionType):
            return f"{name} {{ {' '.join(f'... on {each.name} {{ {_all_fields(each)} }}' for each in target.types)} }}"
        case mapped.ToOne(arguments=arguments) if arguments:
            return f"{name}({_literals(definition)}) {{ __typename }}"
    return name if is_leaf_type(target) else f"{name} {{ __typename }}"


def _literals(definition: GraphQLField) -> str:
    return ", ".join(f"{name}: {LITERALS[get_named_type(each.type).name]}" for name, each in definition.args.items())


def _list_statements(
    coordinate: str, definition: GraphQLField, mapping: mapped.ToMany
) -> Iterator[tuple[str, Statement]]:
    """One for each order, with a cursor, and with all filters: single values and lists."""
    connection = get_named_type(definition.type)
    assert isinstance(connection, GraphQLObjectType)
    stored = stored_kind(get_named_type(connection.fields["nodes"].type))
    assert stored is not None
    one = reading.Nodes(reading.Object((("one", reading.Constant("1")),)))
    for order in _orders(definition):
        arguments = {"filter": _every_filter(definition), "orderBy": order, "first": 1, "last": None}
        source = source_of(mapping.view or stored.view, None, None)
        source = filtered(source, definition.args, arguments, _parameter)
        span = span_of(mapping, definition.args, {**arguments, "after": "any"}, _parameter)
        name = f"{coordinate} by {order['field'].value}" if order else coordinate
        yield name, reading.statement([("page", reading.Page(source, span, (("nodes", one),)))])


def _facet_statement(coordinate: str, definition: GraphQLField, mapping: mapped.Facets) -> tuple[str, Statement]:
    """One for all counts, with all filters."""
    target = get_named_type(definition.type)
    assert isinstance(target, GraphQLObjectType)
    source = filtered(reading.Source(mapping.rows), definition.args, {"filter": _every_filter(definition)}, _parameter)
    declared = ((name, strawberry_field(each)) for name, each in target.fields.items())
    tallies = [(name, mapping_of(field)) for name, field in declared if field is not None]
    members = tuple(
        (name, reading.Tally(each.column, reading.ColumnKind.TEXT, each.is_array))
        for name, each in tallies
        if isinstance(each, mapped.Tally)
    )
    return coordinate, reading.statement([("counts", reading.Counts(source, members))])


def _parameter(type: str, read: Read) -> Parameter:
    return Parameter(type)


def _orders(definition: GraphQLField) -> Iterator[Mapping[str, Any] | None]:
    yield None
    kind = get_named_type(definition.args["orderBy"].type) if "orderBy" in definition.args else None
    if isinstance(kind, GraphQLInputObjectType):
        for field in choice_of(input_field(kind.fields["field"])).orders:
            yield {"field": field, "direction": OrderDirection.ASC}


def _every_filter(definition: GraphQLField) -> Mapping[str, Any]:
    """A filter with something in each field; what it is does not matter to the statement but for lists."""
    kind = get_named_type(definition.args["filter"].type) if "filter" in definition.args else None
    return _everything_of(kind) if isinstance(kind, GraphQLInputObjectType) else {}


def _everything_of(kind: GraphQLInputObjectType) -> Mapping[str, Any]:
    return {name: _something(field) for name, field in kind.fields.items()}


def _something(field: GraphQLInputField) -> Any:
    nested = get_named_type(field.type)
    if isinstance(nested, GraphQLInputObjectType):
        return _everything_of(nested)
    return [None, None] if is_list_type(get_nullable_type(field.type)) else False
