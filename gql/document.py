"""Documents that were parsed, bounded and validated once, and the plans of their operations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
)

from gql.limits import Limits, parse_options
from gql.plan import Plan
from gql.validation import document_errors
from gql.variables import Variables

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

DOCUMENTS = 1_000
# Of one operation: clients that send other page sizes with each request would otherwise fill the memory.
PLANS = 64
COSTS = 256


class Recent(Generic[Key, Value]):
    """The values that were asked for last, at most so many; others are made anew."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = self._values[key] = make()
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document. A plan is for one shape of its variables; None where there can be none."""

    node: OperationDefinitionNode
    variables: Variables
    plans: Recent[Hashable, Plan | None] = field(default_factory=lambda: Recent(PLANS))
    costs: Recent[Hashable, int] = field(default_factory=lambda: Recent(COSTS))


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may be run where `errors` is empty."""

    node: DocumentNode
    errors: list[GraphQLError]
    operations: Mapping[str | None, Operation]
    fragments: Mapping[str, FragmentDefinitionNode]


def read_document(schema: GraphQLSchema, text: str, limits: Limits) -> Document:
    """Raises GraphQLError for what is no GraphQL."""
    node = parse(text, **parse_options(limits))
    operations = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]
    return Document(
        node,
        document_errors(schema, node, limits),
        {each.name.value if each.name else None: Operation(each, Variables(schema, each)) for each in operations},
        {each.name.value: each for each in node.definitions if isinstance(each, FragmentDefinitionNode)},
    )
