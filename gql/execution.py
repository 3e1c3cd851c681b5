"""How an operation is answered: by a plan where there is one, else by graphql-core, both within the limits.

document     parsed, bounded, validated    once per text
cost         by its page sizes             once per values of its variables
plan         one statement                 once per shape of its variables
graphql-core                               what no plan answers, mutations, and every refusal
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError, GraphQLSchema, execute
from graphql import OperationType as CoreOperationType
from graphql.execution.values import VariableValues
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from db import reading
from gql.answered import REFUSALS, Executor
from gql.context import Context, Running
from gql.cost import cost_excess, cost_report, operation_cost
from gql.document import Document, Operation, read_document
from gql.federation import Keys
from gql.limits import Limits
from gql.loader import Loader
from gql.masking import client_errors
from gql.payload import check_payloads
from gql.plan import Answer, Plan, members_of, plan_operation
from gql.recent import Recent
from gql.selection import Selections
from gql.validation import ambiguous_operation_error

QUERY = CoreOperationType.QUERY
MUTATION = CoreOperationType.MUTATION
# What parsed documents and the plans of their operations may take of the memory: some hundred MiB at the very most.
DOCUMENTS_CHARACTERS = 1_000_000
DOCUMENT_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Execution:
    """Of one schema. `caller_faults` are exceptions whose text the caller may read."""

    schema: GraphQLSchema
    limits: Limits
    keys: Keys
    caller_faults: tuple[type[Exception], ...]
    has_plans: bool
    documents: Recent[str, Document] = field(default_factory=lambda: Recent(DOCUMENTS_CHARACTERS, _document_characters))

    async def execute(
        self,
        text: str | None,
        variables: Mapping[str, Any],
        context: object,
        operation_name: str | None,
        allowed: Iterable[OperationType],
    ) -> ExecutionResult:
        """Raises what Strawberry's HTTP view answers itself: no document, an unknown operation, one that may not be."""
        if not text:
            raise MissingQueryError
        try:
            document = self.documents.get(text, lambda: read_document(self.schema, text, self.limits))
        except GraphQLError as error:
            return self.refused([error])
        operation = _operation(document, operation_name, allowed)
        if document.errors:
            return self.refused(document.errors)
        if operation is None:
            return self.refused([ambiguous_operation_error()])
        run = _Run(self, document, operation, variables, operation.variables.values(variables), context)
        return await run.priced()

    def refused(self, errors: list[GraphQLError]) -> ExecutionResult:
        return ExecutionResult(data=None, errors=client_errors(errors, self.caller_faults))

    def result(self, result: CoreResult) -> ExecutionResult:
        errors = client_errors(result.errors, self.caller_faults) if result.errors else None
        return ExecutionResult(data=result.data, errors=errors)


@dataclass(slots=True)
class _Run:
    """One operation with its variables, as they were sent and as their types have them (None: not as they do)."""

    execution: Execution
    document: Document
    operation: Operation
    variables: Mapping[str, Any]
    values: VariableValues | None
    context: object
    explained: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> CoreOperationType:
        return self.operation.node.operation

    async def priced(self) -> ExecutionResult:
        """The answer, unless it would cost too much; what it costs is told with it."""
        if self.values is None:
            return await self.result()
        coerced = self.values.coerced
        cost = self.operation.costs.get(_sizes(coerced), lambda: self._cost(coerced))
        excess = cost_excess(cost, self.operation.node, self.execution.limits)
        result = self.execution.refused(excess) if excess else await self.result()
        result.extensions = {"cost": cost_report(cost, self.execution.limits), **self.explained}
        return result

    def _cost(self, variables: Mapping[str, Any]) -> int:
        return operation_cost(self.execution.schema, self.document.node, self.operation.node, variables)

    async def result(self) -> ExecutionResult:
        try:
            # What is planned is bounded by the reading pool: in waiting for a connection, and in the statement's time.
            self._check_payloads()
            return await self._planned() or self.execution.result(await self._core({}))
        except Exception as error:
            told = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
            return self.execution.refused([told])

    def _check_payloads(self) -> None:
        """Raises GraphQLError."""
        if self.values is not None and isinstance(self.context, Context) and self.kind is MUTATION:
            check_payloads(self._selections(self.values), self.operation.node, self.values, self.context)

    def _selections(self, values: VariableValues) -> Selections:
        return Selections(self.execution.schema, self.document.fragments, values.coerced)

    async def _planned(self) -> ExecutionResult | None:
        """The answer by a plan, alone or with graphql-core for the other root fields; None where there is no plan."""
        if not isinstance(self.context, Context) or not self.execution.has_plans:
            return None
        values = self.values
        if values is None or self.kind is not QUERY:
            return None
        selections = self._selections(values)
        try:
            shape = self.operation.variables.shape(values)
            plan = self.operation.plans.get(shape, lambda: self._plan(selections, values))
            if plan is None:
                return None
            data = await plan.run(self.context, values, selections)
        except REFUSALS:
            return None
        if self.context.explain:
            self.explained["explain"] = await _explanation(plan, self.context, values)
        if plan.is_whole:
            # Strawberry's type for data is a dict; the HTTP view passes these bytes through.
            return ExecutionResult(data=_fragment(data), errors=None)
        return self.execution.result(await self._core(members_of(data)))

    def _plan(self, selections: Selections, values: VariableValues) -> Plan | None:
        return plan_operation(selections, self.operation.node, values, self.execution.keys)

    async def _core(self, answered: Mapping[str, Any]) -> CoreResult:
        context = self.context
        if isinstance(context, Context):
            loader = Loader(context.installation.reading_pool, context.workspace_id)
            values = self.values if self.execution.has_plans else None
            context = replace(context, running=Running(loader, values, answered))
        async with asyncio.timeout(self.execution.limits.execution_seconds):
            return await self._executed(context)

    async def _executed(self, context: object) -> CoreResult:
        name = self.operation.node.name
        result = execute(
            self.execution.schema,
            self.document.node,
            context_value=context,
            variable_values={**self.variables},
            operation_name=name.value if name else None,
            executor_class=Executor,
        )
        return await result if isawaitable(result) else result


def _operation(document: Document, name: str | None, allowed: Iterable[OperationType]) -> Operation | None:
    """The one that is meant; None where several could be."""
    operations = document.operations
    found = operations.values() if name is None else [each for key, each in operations.items() if key == name]
    operation = next(iter(found), None)
    if operation is None:
        raise CannotGetOperationTypeError(name)
    kind = OperationType(operation.node.operation.value)
    if kind not in allowed:
        raise InvalidOperationTypeError(kind)
    return None if name is None and len(operations) > 1 else operation


def _sizes(variables: Mapping[str, Any]) -> Hashable:
    """What of the variables an operation's cost depends on: numbers, how long lists are, and which are null."""
    return tuple(
        (name, (list, len(value)) if isinstance(value, list) else value)
        for name, value in variables.items()
        if value is None or isinstance(value, int | list)
    )


def _fragment(data: Answer) -> Any:
    return orjson.Fragment(data) if isinstance(data, bytes) else data


async def _explanation(plan: Plan, context: Context, values: VariableValues) -> dict[str, Any]:
    pool, parameters = context.installation.reading_pool, plan.values(context, values)
    return {
        "sql": reading.in_lines(plan.statement.text),
        "plan": await reading.explain(pool, plan.statement, context.workspace_id, parameters),
    }


def _document_characters(text: str, _document: Document) -> int:
    return DOCUMENT_CHARACTERS + len(text)
