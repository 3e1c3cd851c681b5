"""What no column holds: left open in a plan's statement, which brings along what is needed, and filled afterwards."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLObjectType,
    GraphQLOutputType,
    is_list_type,
    is_non_null_type,
)
from graphql.type import is_leaf_type

from gql.context import Context
from gql.definition import strawberry_field
from gql.mapping import Computed
from gql.selection import Selections
from gql.unplannable import Unplannable

CONCURRENCY = 8


class Step(Enum):
    EACH = "each item of the list"


EACH = Step.EACH
# No column and no response key has this name.
MARK = "?"
# What columns of other types than JSON's are made of where they have been JSON; `| None` for those that may be null.
READ: Mapping[Any, Callable[[str], Any]] = MappingProxyType(
    {UUID: UUID, UUID | None: UUID, datetime: datetime.fromisoformat, datetime | None: datetime.fromisoformat}
)


@dataclass(frozen=True, slots=True)
class Hole:
    """Where in the answer it is: response keys, and EACH for all items of a list; and what goes there.

    Types that share a list may have different things at one place: what is needed there has the hole's `mark`.
    """

    mark: str
    path: tuple[str | Step, ...]
    mapping: Computed
    type: GraphQLOutputType
    nodes: Sequence[FieldNode]


async def fill(holes: Sequence[Hole], data: dict[str, Any], context: Context, selections: Selections) -> None:
    """Replace what each hole needs by what it is.

    Raises Unplannable for a null where none may be, and where a function fails: graphql-core tells what of, and where.
    """
    gate = asyncio.Semaphore(CONCURRENCY)

    async def fill_one(hole: Hole, slot: dict[str, Any], key: str) -> None:
        async with gate:
            try:
                value = await computed(hole.mapping, context, slot[key])
            except Exception as error:
                raise Unplannable(key) from error
        slot[key] = _shown(value, hole.type, hole.nodes, selections)

    try:
        async with asyncio.TaskGroup() as tasks:
            for hole in holes:
                *path, key = hole.path
                assert isinstance(key, str)
                for slot in [slot for slot in _slots(data, path) if _is_marked(slot.get(key), hole.mark)]:
                    if inspect.iscoroutinefunction(hole.mapping.function):
                        tasks.create_task(fill_one(hole, slot, key))
                    else:
                        await fill_one(hole, slot, key)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def computed(mapping: Computed, context: Context, columns: Mapping[str, Any]) -> Any:
    """The value, from the columns that it needs."""
    value = mapping.function(context, **_needs(mapping, columns))
    return await value if inspect.isawaitable(value) else value


def _needs(mapping: Computed, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What is text where the columns have been JSON, as the function takes it."""
    return {
        name: READ[kind](columns[name]) if kind in READ and isinstance(columns[name], str) else columns[name]
        for name, kind in mapping.needs.items()
    }


def _is_marked(needs: object, mark: str) -> bool:
    return isinstance(needs, dict) and needs.get(MARK) == mark


def _slots(data: Any, path: Sequence[str | Step]) -> Iterator[dict[str, Any]]:
    """The objects at the end of a path, with nulls left out, and objects of types that have no such field."""
    if data is None:
        return
    if not path:
        yield data
        return
    step, *rest = path
    if step is EACH:
        for item in data:
            yield from _slots(item, rest)
    elif step in data:
        yield from _slots(data[step], rest)


def _shown(value: Any, kind: GraphQLOutputType, nodes: Sequence[FieldNode], selections: Selections) -> Any:
    """What is asked of a computed value: its objects are Strawberry's, with nothing to be resolved."""
    if is_non_null_type(kind):
        shown = _shown(value, kind.of_type, nodes, selections)
        if shown is None:
            raise Unplannable("a null where none may be")
        return shown
    if value is None:
        return None
    if is_list_type(kind):
        return [_shown(item, kind.of_type, nodes, selections) for item in value]
    if is_leaf_type(kind):
        return kind.coerce_output_value(value)
    shown_as = selections.schema.type_map[type(value).__strawberry_definition__.name]
    assert isinstance(shown_as, GraphQLObjectType)
    fields = selections.below(shown_as, nodes)
    return {key: _member(value, shown_as, asked, selections) for key, asked in fields.items()}


def _member(value: Any, kind: GraphQLObjectType, nodes: Sequence[FieldNode], selections: Selections) -> Any:
    name = nodes[0].name.value
    if name == "__typename":
        return kind.name
    declared = strawberry_field(kind.fields[name])
    if declared is None or not declared.is_basic_field:
        raise Unplannable(name)
    return _shown(getattr(value, declared.python_name), kind.fields[name].type, nodes, selections)
