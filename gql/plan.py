"""Plans: the statement of an operation's stored fields, and how it is run with a request's variables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import orjson
from graphql import FieldNode, GraphQLNamedType, GraphQLObjectType, OperationDefinitionNode
from graphql.execution.values import VariableValues

from db import reading
from db.reading import Statement
from gql.context import Context
from gql.federation import Keys
from gql.given import Given
from gql.hole import Hole, fill
from gql.listing import Read
from gql.planner import Planner
from gql.selection import Selections
from gql.unplannable import Unplannable

Answer: TypeAlias = bytes | dict[str, Any]
OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Plan:
    """`is_whole` where the statement answers all fields at the operation's root."""

    is_whole: bool
    statement: Statement
    given: tuple[Given, ...]
    reads: tuple[tuple[int, Read], ...]
    # What is not in the statement, as nobody asked for what it decides, and can still be wrong.
    checks: tuple[tuple[int, Read], ...]
    holes: tuple[Hole, ...]

    async def run(self, context: Context, variables: VariableValues, selections: Selections) -> Answer:
        """The data: as JSON text where nothing had to be filled in.

        Raises Unplannable, Unmatchable, AbsentValue, GraphQLError or Refusal where graphql-core has to answer, and
        ReadingTimeout.
        """
        values = self.values(context, variables)
        text = await reading.fetch(context.installation.reading_pool, self.statement, context.workspace_id, values)
        if not self.holes:
            return text.encode()
        data: dict[str, Any] = orjson.loads(text)
        async with asyncio.timeout(context.limits.execution_seconds):
            await fill(self.holes, data, context, selections)
        return data

    def values(self, context: Context, variables: VariableValues) -> list[object]:
        """The statement's parameters."""
        given = [each.values(variables) for each in self.given]
        for position, read in self.checks:
            read(given[position], context)
        return [read(given[position], context) for position, read in self.reads]


def members_of(answer: Answer) -> dict[str, Any]:
    """The answer's fields, where they are wanted one by one."""
    members: dict[str, Any] = orjson.loads(answer) if isinstance(answer, bytes) else answer
    return members


def plan_operation(
    selections: Selections, operation: OperationDefinitionNode, variables: VariableValues, keys: Keys
) -> Plan | None:
    """A plan of the root fields that can be planned; None where nothing is stored.

    Raises GraphQLError for arguments that are refused.
    """
    kind = selections.schema.query_type
    assert kind is not None
    planner = Planner(selections, variables, keys)
    fields = selections.fields(kind, [operation.selection_set])
    members = list(_members(planner, kind, fields))
    if all(isinstance(value, reading.Constant) for _, value in members):
        return None
    return _plan(planner, members, is_whole=len(members) == len(fields))


def _members(
    planner: Planner, kind: GraphQLObjectType, fields: Mapping[str, list[FieldNode]]
) -> Iterator[tuple[str, reading.Value]]:
    for key, nodes in fields.items():
        try:
            yield key, planner.root(kind, key, nodes)
        except Unplannable:
            continue


def plan_object(
    selections: Selections,
    kind: GraphQLNamedType,
    view: str | None,
    nodes: Sequence[FieldNode],
    variables: VariableValues,
    key: UUID,
) -> Plan:
    """A plan of the object of a mutation's payload, as the member `object`. Raises Unplannable and GraphQLError."""
    planner = Planner(selections, variables, {})
    return _plan(planner, [(OBJECT, planner.keyed(kind, view, nodes, key, OBJECT))], is_whole=False)


def _plan(planner: Planner, members: Sequence[tuple[str, reading.Value]], *, is_whole: bool) -> Plan:
    statement = reading.statement(members)
    return Plan(
        is_whole=is_whole,
        statement=statement,
        given=tuple(planner.given),
        reads=tuple(planner.reads[parameter] for parameter in statement.parameters),
        checks=tuple(read for parameter, read in planner.reads.items() if parameter not in statement.parameters),
        holes=tuple(planner.holes),
    )
