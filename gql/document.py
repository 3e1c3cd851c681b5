"""Documents, parsed, bounded and validated once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

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
from gql.recent import Recent
from gql.validation import document_errors
from gql.variables import Variables

# Clients that send other page sizes with each request would otherwise fill the memory.
COSTS = 256
PLANS_CHARACTERS = 300_000
PLAN_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a document."""

    node: OperationDefinitionNode
    variables: Variables
    plans: Recent[Hashable, Plan | None] = field(default_factory=lambda: Recent(PLANS_CHARACTERS, _plan_characters))
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
    errors = document_errors(schema, node, limits)
    operations = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]
    return Document(
        node,
        errors,
        {each.name.value if each.name else None: Operation(each, Variables(schema, each)) for each in operations},
        {each.name.value: each for each in node.definitions if isinstance(each, FragmentDefinitionNode)},
    )


def _plan_characters(_shape: Hashable, plan: Plan | None) -> int:
    return PLAN_CHARACTERS + (len(plan.statement.text) if plan else 0)
