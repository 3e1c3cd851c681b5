"""What a plan has answered already, on its way through graphql-core to its place in the response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import GraphQLError, GraphQLNamedType, GraphQLResolveInfo
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db.reading import AbsentValue
from gql.bad_input import Unmatchable
from gql.context import Context
from gql.plan import OBJECT, members_of, plan_object
from gql.selection import Selections
from gql.unplannable import Unplannable
from resolvers.errors import Refusal

# Why graphql-core answers itself: it tells what is wrong, and where.
REFUSALS = (Unplannable, Unmatchable, AbsentValue, GraphQLError, Refusal)


@dataclass(frozen=True, slots=True)
class Answered:
    """A value that is complete: everything below it has been read."""

    value: Any


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Takes what a plan has answered as it is."""

    def complete_value(
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        if isinstance(result, Answered):
            if result.value is not None:
                return result.value
            result = None
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)


def answered_root(info: GraphQLResolveInfo[Context]) -> Answered | None:
    """What the operation's plan answered for a field at the root."""
    key, answered = str(info.path.key), info.context.execution.answered
    return Answered(answered[key]) if info.path.prev is None and key in answered else None


async def planned_object(
    info: GraphQLResolveInfo[Context], kind: GraphQLNamedType, view: str | None, key: UUID
) -> Answered | None:
    """The object of a mutation's payload, by a plan of its selections; None where it cannot be planned."""
    variables = info.context.execution.variables
    if variables is None:
        return None
    selections = Selections(info.schema, info.fragments, variables.coerced)
    try:
        plan = plan_object(selections, kind, view, info.field_nodes, variables, key)
        data = await plan.run(info.context, variables, selections)
    except REFUSALS:
        return None
    return Answered(members_of(data)[OBJECT])
