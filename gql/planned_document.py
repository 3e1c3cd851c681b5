"""Fields that are a json column: an object, or a list of them, of which the asked members are taken."""

from __future__ import annotations

from collections.abc import Sequence

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from db import reading
from gql.definition import origin, strawberry_field
from gql.selection import Selections
from gql.unplannable import Unplannable


def planned_document(
    selections: Selections, definition: GraphQLField, name: str, nodes: Sequence[FieldNode], shown_as: type | None
) -> reading.Document:
    """`shown_as` is the class of the objects where the field's type is abstract. Raises Unplannable."""
    kind = _object_type(selections, get_named_type(definition.type), shown_as)
    members = tuple((key, _member(selections, kind, asked)) for key, asked in selections.below(kind, nodes).items())
    is_list = is_list_type(get_nullable_type(definition.type))
    return reading.Document(name, members, is_list, isinstance(definition.type, GraphQLNonNull))


def _object_type(selections: Selections, kind: GraphQLNamedType, shown_as: type | None) -> GraphQLObjectType:
    if shown_as is not None:
        kind = next(each for each in selections.schema.type_map.values() if origin(each) is shown_as)
    if not isinstance(kind, GraphQLObjectType):
        raise Unplannable(kind.name)
    return kind


def _member(selections: Selections, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> reading.DocumentMember:
    name = nodes[0].name.value
    if name == "__typename":
        return reading.Constant(kind.name)
    definition = kind.fields[name]
    declared = strawberry_field(definition)
    assert declared is not None
    if is_leaf_type(get_named_type(definition.type)):
        return reading.DocumentField(declared.python_name, isinstance(definition.type, GraphQLNonNull))
    return planned_document(selections, definition, declared.python_name, nodes, None)
