"""From graphql-core's schema back to the Strawberry definitions that it was made of."""

from __future__ import annotations

from typing import cast

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


def strawberry_field(field: GraphQLField) -> StrawberryField | None:
    """None for what graphql-core adds of its own, such as __schema."""
    return cast("StrawberryField | None", field.extensions.get(BACKREF))


def input_field(field: GraphQLInputField | GraphQLArgument) -> StrawberryField:
    return cast("StrawberryField", field.extensions[BACKREF])


def python_name(definition: GraphQLInputField | GraphQLArgument) -> str:
    name: str = definition.extensions[BACKREF].python_name
    return name


def mark_one_of(schema: GraphQLSchema) -> None:
    """Let graphql-core's own rules know of inputs with exactly one field: Strawberry's rule knows few variables."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType) and kind.extensions[BACKREF].is_one_of:
            kind.is_one_of = True


def origin(kind: GraphQLNamedType) -> type | None:
    """The class that a type of the schema was declared as; None for what is no class."""
    return cast("type | None", getattr(kind.extensions.get(BACKREF), "origin", None))
