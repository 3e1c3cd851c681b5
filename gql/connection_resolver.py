"""Resolvers of connections for graphql-core: a page as it was read, and its count where somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLResolveInfo, get_named_type

from db import reading
from db.reading import CURSOR, PARENT, Record, Source, Span
from gql.answered import answered_root
from gql.bad_input import Unmatchable
from gql.connection import Connection, Edge, PageInfo
from gql.context import Context
from gql.listing import filtered, source_of, span_of
from gql.loader import Bound
from gql.mapping import Stored, ToMany, stored_kind
from gql.stored_row import StoredRow, row_of


def connection_resolver(definition: GraphQLField, mapping: ToMany) -> Callable[..., Any]:
    connection = get_named_type(definition.type)
    assert isinstance(connection, GraphQLObjectType)
    target = get_named_type(connection.fields["nodes"].type)
    stored = stored_kind(target)
    assert stored is not None, f"{target.name} is read from nowhere"
    view = mapping.view or stored.view

    async def resolve(row: StoredRow | None, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        if (answered := answered_root(info)) is not None:
            return answered
        parent = row.column(mapping.column) if row is not None and mapping.key else None
        bound = Bound(arguments, info.context)
        source = source_of(view, mapping.key, PARENT if mapping.key else None)
        span = span_of(mapping, definition.args, arguments, bound)
        try:
            source = filtered(source, definition.args, arguments, bound)
        except Unmatchable:
            return _page(target, stored, span, [], _nothing)
        batch = reading.page_of_parents(source, span)
        rows = await info.context.execution.loader.rows(batch, bound.of(batch.parameters), parent)
        return _page(target, stored, span, rows, _Count(source, bound, info.context, parent))

    return resolve


def _page(
    target: GraphQLNamedType, stored: Stored, span: Span, rows: Sequence[Record], count: Callable[[], Any]
) -> Connection[StoredRow]:
    """A page of the rows as they were read: one more than it shows where there is more, from its end if backward."""
    has_more, shown = len(rows) > span.size, list(rows[: span.size])
    if span.is_backward:
        shown.reverse()
    edges = [Edge(cursor=row[CURSOR], node=row_of(target, stored, row)) for row in shown]
    info = PageInfo(
        has_next_page=bool(span.before) if span.is_backward else has_more,
        has_previous_page=has_more if span.is_backward else bool(span.after),
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=info, count=count)


@dataclass(frozen=True, slots=True)
class _Count:
    source: Source
    bound: Bound
    context: Context
    parent: UUID | None

    async def __call__(self) -> tuple[int, bool]:
        batch = reading.counts_of_parents(self.source)
        rows = await self.context.execution.loader.rows(batch, self.bound.of(batch.parameters), self.parent)
        number: int = rows[0]["number"]
        return min(number, reading.COUNT_CAP), number <= reading.COUNT_CAP


async def _nothing() -> tuple[int, bool]:
    return 0, True
