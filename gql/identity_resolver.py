"""Resolvers of the fields that take names of things: ids, or federation's representations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

import orjson
from graphql import GraphQLError, GraphQLResolveInfo

from db import reading
from db.reading import PARENT, Parameter
from gql import mapping as mapped
from gql.answered import answered_root
from gql.context import Context
from gql.identity import Asked, Elsewhere, Identities, Named
from gql.listing import source_of
from gql.stored_row import StoredRow, row_of


def every_resolver(named: Identities, mapping: mapped.Every, *, is_list: bool) -> Callable[..., Any]:
    async def resolve(_root: None, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        if (answered := answered_root(info)) is not None:
            return answered
        asked = named.names(arguments)
        found = await _things(named, asked, info.context)
        shown = [_thing(each, found, mapping, info.context) for each in asked]
        return shown if is_list else shown[0]

    return resolve


def _thing(asked: Asked, found: Mapping[Named, StoredRow | None], mapping: mapped.Every, context: Context) -> object:
    """What goes in one place of the list: an error there is of this place alone."""
    match asked:
        case Named():
            return found[asked]
        case Elsewhere():
            return mapping.elsewhere[asked.prefix](context, asked.key)
        case GraphQLError():
            return asked
    assert_never(asked)


async def _things(named: Identities, asked: Sequence[Asked], context: Context) -> dict[Named, StoredRow | None]:
    """What each name finds: first all ids in one statement, then the rows of each view in one more."""
    wanted = list(dict.fromkeys(each for each in asked if isinstance(each, Named)))
    ids = await _ids(named, wanted, context)
    found: dict[Named, StoredRow | None] = dict.fromkeys(wanted)
    for number, branch in enumerate(named.branches):
        batch = reading.rows_of_parents(source_of(branch.stored.view, "id", PARENT))
        keys = {ids[each]: each for each in wanted if each.branch == number and ids[each] is not None}
        if not keys:
            continue
        rows = await reading.fetch_batch(context.installation.reading_pool, batch, context.workspace_id, list(keys), [])
        for row in rows:
            found[keys[row["id"]]] = row_of(branch.kinds[0], branch.stored, row)
    return found


async def _ids(named: Identities, wanted: Sequence[Named], context: Context) -> dict[Named, UUID | None]:
    bring_id = reading.Object((("id", reading.Column("id", reading.ColumnKind.JSON)),))
    branches = tuple(reading.Branch(each.stored.view, each.key, bring_id) for each in named.branches)
    chosen, keys = Parameter("integer[]"), tuple(Parameter("text[]") for _ in range(named.key_width))
    statement = reading.statement([("ids", reading.Each(branches, chosen, keys, is_list=True))])
    values: dict[Parameter, object] = {chosen: [each.branch for each in wanted]}
    for position, key in enumerate(keys):
        values[key] = [each.key_part(position) for each in wanted]
    pool, parameters = context.installation.reading_pool, [values[each] for each in statement.parameters]
    found = orjson.loads(await reading.fetch(pool, statement, context.workspace_id, parameters))["ids"]
    return {each: UUID(row["id"]) if row else None for each, row in zip(wanted, found, strict=True)}
