"""Resolvers of facets for graphql-core: a statement for each one that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLNamedType, GraphQLResolveInfo

from db import reading
from db.reading import Batch, Record, Source
from gql import mapping as mapped
from gql.answered import answered_root
from gql.bad_input import Unmatchable
from gql.context import Context
from gql.definition import origin
from gql.listing import filtered, tally_size
from gql.loader import Bound
from gql.planned_facet import value_kind


@dataclass(frozen=True, slots=True)
class Counted:
    """What facets count: nothing where no row can meet the filter."""

    source: Source | None
    bound: Bound

    async def rows(self, make: Callable[[Source], Batch]) -> list[Record]:
        if self.source is None:
            return []
        batch = make(self.source)
        return await self.bound.context.execution.loader.rows(batch, self.bound.of(batch.parameters))


def facets_resolver(target: GraphQLNamedType, definition: GraphQLField, mapping: mapped.Facets) -> Callable[..., Any]:
    cls = _class(target)

    async def resolve(_root: None, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        if (answered := answered_root(info)) is not None:
            return answered
        bound = Bound(arguments, info.context)
        try:
            return cls(counted=Counted(filtered(Source(mapping.rows), definition.args, arguments, bound), bound))
        except Unmatchable:
            return cls(counted=Counted(None, bound))

    return resolve


async def resolve_total(facets: Any, _info: GraphQLResolveInfo[Context]) -> int:
    found = await facets.counted.rows(reading.total)
    return int(found[0]["number"]) if found else 0


def tally_resolver(target: GraphQLNamedType, mapping: mapped.Tally) -> Callable[..., Any]:
    cls = _class(target)

    async def resolve(facets: Any, _info: GraphQLResolveInfo[Context], **arguments: Any) -> list[Any]:
        tally = reading.Tally(mapping.column, value_kind(target), mapping.is_array, tally_size(mapping, arguments))
        found = await facets.counted.rows(lambda source: reading.tally_of(source, tally))
        return [cls(value=row["value"], count=row["number"]) for row in found]

    return resolve


def _class(target: GraphQLNamedType) -> type:
    cls = origin(target)
    assert cls is not None
    return cls
