"""Resolvers of stored fields for graphql-core, derived from the mapping that plans are made of.

graphql-core is the reference for plans, and answers what they cannot. A field's rows are read for all its parents at
once: one statement for each field of an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, assert_never, cast
from uuid import UUID

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from db import reading
from db.reading import PARENT
from gql import mapping as mapped
from gql.answered import answered_root, planned_object
from gql.bad_input import Unmatchable
from gql.connection_resolver import connection_resolver
from gql.context import Context
from gql.definition import origin, strawberry_field
from gql.facet_resolver import facets_resolver, resolve_total, tally_resolver
from gql.federation import Keys
from gql.hole import computed
from gql.identifier import encode
from gql.identity import identities
from gql.identity_resolver import every_resolver
from gql.listing import chosen, found_by, source_of
from gql.loader import Bound
from gql.mapping import Stored, mapping_of, stored_kind
from gql.stored_row import StoredRow, row_of

Resolve: TypeAlias = Callable[..., Any]


def attach(schema: GraphQLSchema, keys: Keys) -> None:
    """Give every mapped field its resolver, and let rows be of the types that they say they are."""
    resolvers = _Resolvers(schema, keys)
    of_rows = set(_types_of_rows(schema))
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType):
            for name, definition in kind.fields.items():
                declared = strawberry_field(definition)
                mapping = mapping_of(declared) if declared else None
                if mapping is not None and (kind in of_rows or not isinstance(mapping, mapped.Column)):
                    definition.resolve = resolvers.resolver(kind, name, definition, mapping)
            _accept_rows(kind)
        elif isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            _tell_types_of_rows(kind)


def _types_of_rows(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    """The types whose sources are rows: those with a view, and those made of columns of another's."""
    for kind in schema.type_map.values():
        if stored_kind(kind) is not None:
            yield kind
        for definition in kind.fields.values() if isinstance(kind, GraphQLObjectType) else ():
            field = strawberry_field(definition)
            if field is not None and isinstance(mapping_of(field), mapped.Inline):
                target = get_named_type(definition.type)
                yield from target.types if isinstance(target, GraphQLUnionType) else (target,)


def _accept_rows(kind: GraphQLObjectType) -> None:
    usual = kind.is_type_of
    if usual is not None:
        kind.is_type_of = lambda value, info: isinstance(value, StoredRow) or usual(value, info)


def _tell_types_of_rows(kind: GraphQLInterfaceType | GraphQLUnionType) -> None:
    usual = kind.resolve_type
    assert usual is not None
    kind.resolve_type = lambda value, info, abstract: (
        value.type_name if isinstance(value, StoredRow) else usual(value, info, abstract)
    )


@dataclass(frozen=True, slots=True)
class _Resolvers:
    schema: GraphQLSchema
    keys: Keys

    def resolver(
        self, kind: GraphQLObjectType, name: str, definition: GraphQLField, mapping: mapped.FieldMapping
    ) -> Resolve:
        target = get_named_type(definition.type)
        match mapping:
            case mapped.Column():
                return _column(kind, target, mapping)
            case mapped.Identifier():
                return lambda row, _info: encode(mapping.prefix, row.column(mapping.name))
            case mapped.Inline():
                return _inline(target, mapping)
            case mapped.Embedded():
                return self.embedded(target, mapping)
            case mapped.Computed():
                return _computed(mapping)
            case mapped.ToOne() if mapping.arguments:
                return _chosen_one(target, definition, mapping)
            case mapped.ToOne():
                return _to_one(target, mapping)
            case mapped.Rows():
                return _rows(target, mapping)
            case mapped.ToMany():
                return connection_resolver(definition, mapping)
            case mapped.Find():
                return _find(target, definition)
            case mapped.Every():
                is_list = is_list_type(get_nullable_type(definition.type))
                named = identities(self.schema, target, self.keys, mapping.elsewhere)
                return every_resolver(named, mapping, is_list=is_list)
            case mapped.ByKey():
                return _by_key(target, mapping)
            case mapped.Facets():
                return facets_resolver(target, definition, mapping)
            case mapped.Total():
                return resolve_total
            case mapped.Tally():
                return tally_resolver(target, mapping)
        assert_never(mapping)

    def embedded(self, target: GraphQLNamedType, mapping: mapped.Embedded) -> Resolve:
        cls = mapping.type or origin(target)
        kind = next(kind for kind in self.schema.type_map.values() if origin(kind) is cls)

        def resolve(row: StoredRow, _info: GraphQLResolveInfo[Context]) -> Any:
            return document(kind, row.column(mapping.name))

        return resolve


def document(kind: GraphQLNamedType, value: Any) -> Any:
    """What a json column holds as objects of a type of the schema; a key that is not there is null."""
    if isinstance(value, list):
        return [document(kind, item) for item in value]
    if isinstance(value, str) and kind.name == "DateTime":
        return datetime.fromisoformat(value)
    if not isinstance(value, dict) or not isinstance(kind, GraphQLObjectType):
        return value
    cls = origin(kind)
    assert cls is not None
    members = {}
    for definition in kind.fields.values():
        declared = strawberry_field(definition)
        assert declared is not None
        members[declared.python_name] = document(get_named_type(definition.type), value.get(declared.python_name))
    return cls(**members)


def _column(kind: GraphQLObjectType, target: GraphQLNamedType, mapping: mapped.Column) -> Resolve:
    if target.name != "ID":
        # What is made of columns here may be a resolver's own object elsewhere, as a place in storage is.
        return lambda row, _info: row.column(mapping.name) if isinstance(row, StoredRow) else getattr(row, mapping.name)
    prefix = _stored(kind).prefix
    assert prefix is not None
    return lambda row, _info: encode(prefix, row.column(mapping.name))


def _inline(target: GraphQLNamedType, mapping: mapped.Inline) -> Resolve:
    def resolve(row: StoredRow, _info: GraphQLResolveInfo[Context]) -> StoredRow | None:
        name = row.column(mapping.type_column) if mapping.type_column else target.name
        inner = StoredRow(row.columns, name, f"{row.prefix}{mapping.prefix}")
        return inner if mapping.present is None or inner.column(mapping.present) is not None else None

    return resolve


def _computed(mapping: mapped.Computed) -> Resolve:
    async def resolve(row: StoredRow, info: GraphQLResolveInfo[Context]) -> Any:
        return await computed(mapping, info.context, {name: row.column(name) for name in mapping.needs})

    return resolve


def _to_one(target: GraphQLNamedType, mapping: mapped.ToOne) -> Resolve:
    stored = _stored(target)
    source = source_of(mapping.view or stored.view, mapping.key, PARENT, mapping.order)
    batch = reading.rows_of_parents(source, limit=1 if mapping.order else None)

    async def resolve(row: StoredRow, info: GraphQLResolveInfo[Context]) -> StoredRow | None:
        key = row.column(mapping.column)
        found = await info.context.execution.loader.rows(batch, [], key) if key is not None else []
        return row_of(target, stored, found[0]) if found else None

    return resolve


def _chosen_one(target: GraphQLNamedType, definition: GraphQLField, mapping: mapped.ToOne) -> Resolve:
    stored = _stored(target)
    related = source_of(mapping.view or stored.view, mapping.key, PARENT, mapping.order)

    async def resolve(row: StoredRow, info: GraphQLResolveInfo[Context], **arguments: Any) -> StoredRow | None:
        bound = Bound(arguments, info.context)
        try:
            source = chosen(related, mapping.arguments, definition.args, arguments, bound)
        except Unmatchable:
            return None
        batch = reading.rows_of_parents(source, limit=1)
        key = row.column(mapping.column)
        found = await info.context.execution.loader.rows(batch, bound.of(batch.parameters), key)
        return row_of(target, stored, found[0]) if found else None

    return resolve


def _rows(target: GraphQLNamedType, mapping: mapped.Rows) -> Resolve:
    stored = _stored(target)
    parent = PARENT if mapping.key is not None else None
    batch = reading.rows_of_parents(source_of(mapping.view or stored.view, mapping.key, parent, mapping.order))

    async def resolve(row: StoredRow | None, info: GraphQLResolveInfo[Context]) -> Any:
        if (answered := answered_root(info)) is not None:
            return answered
        key = row.column(mapping.column) if row is not None and parent is not None else None
        found = await info.context.execution.loader.rows(batch, [], key)
        return [row_of(target, stored, each) for each in found]

    return resolve


def _find(target: GraphQLNamedType, definition: GraphQLField) -> Resolve:
    stored = _stored(target)

    async def resolve(_root: None, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        if (answered := answered_root(info)) is not None:
            return answered
        bound = Bound(arguments, info.context)
        try:
            source = found_by(stored.view, stored.prefix, definition.args, arguments, bound)
        except Unmatchable:
            return None
        batch = reading.rows_of_parents(source)
        found = await info.context.execution.loader.rows(batch, bound.of(batch.parameters))
        return row_of(target, stored, found[0]) if found else None

    return resolve


def _by_key(target: GraphQLNamedType, mapping: mapped.ByKey) -> Resolve:
    stored = _stored(target)
    batch = reading.rows_of_parents(source_of(mapping.view or stored.view, "id", PARENT))

    async def resolve(payload: object, info: GraphQLResolveInfo[Context]) -> Any:
        key = cast("UUID | None", getattr(payload, mapping.attribute))
        if key is None:
            return None
        planned = await planned_object(info, target, mapping.view, key)
        if planned is not None:
            return planned
        found = await info.context.execution.loader.rows(batch, [], key)
        return row_of(target, stored, found[0]) if found else None

    return resolve


def _stored(kind: GraphQLNamedType) -> Stored:
    found = stored_kind(kind)
    assert found is not None, f"{kind.name} is read from nowhere"
    return found
