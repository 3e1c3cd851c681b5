"""Fields that count: facets of a filtered source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from graphql import FieldNode, GraphQLEnumType, GraphQLField, GraphQLNamedType, GraphQLObjectType, get_named_type

from db import reading
from gql import mapping as mapped
from gql.definition import strawberry_field
from gql.listing import filtered, tally_size
from gql.mapping import mapping_of
from gql.unplannable import Unplannable

if TYPE_CHECKING:
    from gql.planner import Planner


def planned_facets(
    planner: Planner, definition: GraphQLField, mapping: mapped.Facets, nodes: Sequence[FieldNode]
) -> reading.Counts:
    """Raises Unplannable, and GraphQLError for arguments that are refused."""
    kind = _object_type(definition)
    arguments, bind = planner.arguments(definition, nodes[0])
    source = filtered(reading.Source(mapping.rows), definition.args, arguments, bind)
    asked = planner.selections.below(kind, nodes).items()
    return reading.Counts(source, tuple((key, _member(planner, kind, each)) for key, each in asked))


def _member(
    planner: Planner, kind: GraphQLObjectType, nodes: Sequence[FieldNode]
) -> reading.Total | reading.Tally | reading.Constant:
    name = nodes[0].name.value
    if name == "__typename":
        return reading.Constant(kind.name)
    definition = kind.fields[name]
    declared = strawberry_field(definition)
    match mapping_of(declared) if declared else None:
        case mapped.Total():
            return reading.Total.NUMBER
        case mapped.Tally() as mapping:
            arguments, _ = planner.arguments(definition, nodes[0])
            target = _object_type(definition)
            members = tuple(_parts(planner, target, nodes))
            size = tally_size(mapping, arguments)
            return reading.Tally(mapping.column, value_kind(target), mapping.is_array, size, members)
    raise Unplannable(name)


def _parts(
    planner: Planner, kind: GraphQLObjectType, nodes: Sequence[FieldNode]
) -> Iterator[tuple[str, reading.TallyPart | reading.Constant]]:
    for key, asked in planner.selections.below(kind, nodes).items():
        name = asked[0].name.value
        yield key, reading.Constant(kind.name) if name == "__typename" else reading.TallyPart(name)


def value_kind(target: GraphQLNamedType) -> reading.ColumnKind:
    """How the value of a type such as LabelCount is written."""
    assert isinstance(target, GraphQLObjectType)
    is_name = isinstance(get_named_type(target.fields["value"].type), GraphQLEnumType)
    return reading.ColumnKind.NAME if is_name else reading.ColumnKind.TEXT


def _object_type(definition: GraphQLField) -> GraphQLObjectType:
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind
