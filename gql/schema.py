"""The schema as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import strawberry.federation
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from gql.batch_service import BatchService
from gql.definition import mark_one_of
from gql.execution import Execution
from gql.federation import Keys, client_sdl, entity_keys, hide_directives, subgraph_sdl
from gql.limits import Limits
from gql.mutation import Mutation
from gql.query import Query
from gql.real_time_service import RealTimeService
from gql.scalar import SCALARS
from gql.stored_resolver import attach
from gql.user_error import ERROR_TYPES
from resolvers.errors import Refusal

FEDERATION_VERSION: Final = "2.3"
ALL_OPERATIONS = (OperationType.QUERY, OperationType.MUTATION, OperationType.SUBSCRIPTION)


class Schema(strawberry.federation.Schema):
    """Strawberry's schema, with an execution of its own. `caller_faults` are exceptions that callers may read."""

    def __init__(
        self, *, limits: Limits, caller_faults: tuple[type[Exception], ...] = (), plans: bool = True, **parts: Any
    ) -> None:
        super().__init__(**parts, federation_version=FEDERATION_VERSION)
        hide_directives(self)
        keys = self.entity_keys
        mark_one_of(self._schema)
        attach(self._schema, keys)
        self.execution = Execution(self._schema, limits, keys, caller_faults, has_plans=plans)

    @cached_property
    def entity_keys(self) -> Keys:
        return entity_keys(self)

    @cached_property
    def subgraph_sdl(self) -> str:
        """The graph as gateways get it."""
        return subgraph_sdl(self)

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Raises what Strawberry's HTTP view answers itself: no document, an unknown operation, one not allowed."""
        allowed = ALL_OPERATIONS if allowed_operation_types is None else allowed_operation_types
        return await self.execution.execute(query, variable_values or {}, context_value, operation_name, allowed)


def build_schema(limits: Limits, *, plans: bool = True) -> Schema:
    """Without `plans` everything is answered by graphql-core."""
    return Schema(
        query=Query,
        mutation=Mutation,
        types=[RealTimeService, BatchService, *ERROR_TYPES],
        config=StrawberryConfig(scalar_map=SCALARS),
        limits=limits,
        caller_faults=(Refusal,),
        plans=plans,
    )


def print_schema() -> str:
    """The schema in the definition language, as schema.graphql holds it."""
    return client_sdl(build_schema(Limits())) + "\n"
