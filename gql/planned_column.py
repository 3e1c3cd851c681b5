"""Fields that are one column of a row."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLNonNull,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from db import reading
from gql import mapping as mapped
from gql.mapping import Stored
from gql.unplannable import Unplannable

SCALARS = MappingProxyType(
    {
        "Int": reading.ColumnKind.NUMBER,
        "BigInt": reading.ColumnKind.NUMBER,
        "Float": reading.ColumnKind.NUMBER,
        "Boolean": reading.ColumnKind.NUMBER,
        "JSON": reading.ColumnKind.JSON,
        "DateTime": reading.ColumnKind.MOMENT,
    }
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a value is read: the mapping of the row's type, and what its columns' names begin with."""

    stored: Stored | None
    prefix: str = ""

    def column(self, name: str) -> str:
        return f"{self.prefix}{name}"


def planned_column(definition: GraphQLField, mapping: mapped.Column, frame: Frame) -> reading.Column:
    kind = get_named_type(definition.type)
    name, is_required = frame.column(mapping.name), isinstance(definition.type, GraphQLNonNull)
    if not is_leaf_type(kind):
        raise Unplannable(kind.name)
    if is_list_type(get_nullable_type(definition.type)):
        return reading.Column(name, reading.ColumnKind.JSON, is_required=is_required)
    if isinstance(kind, GraphQLEnumType):
        return reading.Column(name, reading.ColumnKind.NAME, is_required=is_required)
    if kind.name == "ID":
        if frame.stored is None or frame.stored.prefix is None:
            raise Unplannable(kind.name)
        return planned_identifier(name, frame.stored.prefix, is_required=is_required)
    return reading.Column(name, SCALARS.get(kind.name, reading.ColumnKind.TEXT), is_required=is_required)


def planned_identifier(name: str, prefix: str, *, is_required: bool) -> reading.Column:
    return reading.Column(name, reading.ColumnKind.IDENTIFIER, prefix, is_required)
