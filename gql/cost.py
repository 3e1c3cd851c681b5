"""What an operation costs: one for every field it may answer with, as many times as its pages can hold items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)

from gql.fault_code import FaultCode
from gql.limits import SATURATED, Limits

DEFAULT_PAGE_SIZE = 20
UNSIZED_LIST_SIZE = 10
INTROSPECTION_COST = 10_000
# A count looks at up to ten thousand rows.
COUNTS = frozenset({"totalCount", "totalCountIsExact"})
COUNT_COST = 100
# A facet looks at every version.
FACETS = "Facets"
FACET_COST = 500
# What looks through storage, or through every file of a workspace.
COSTLY_FIELDS = MappingProxyType(
    {"RealTimeService.metrics": 500, "planDeployment": 500, "previewImport": 5_000, "storageUsage": 2_000}
)


def operation_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object] | None,
) -> int:
    """The most fields that the operation can answer with, at most `SATURATED`.

    The document must be valid against the schema. `first` and `last` multiply what is below them; so does the length of
    a list that a list is asked by (`nodes(ids:)`), and a guess for a list of objects without a page size. A count costs
    `COUNT_COST`, a facet `FACET_COST`, one look at the schema itself `INTROSPECTION_COST`.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        return 0
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    pricing = _Pricing(schema, fragments, _with_defaults(operation, variables or {}))
    return pricing.selection_set(operation.selection_set, root).of_items(1)


def _own_cost(parent: GraphQLNamedType, name: str) -> int:
    if parent.name.endswith(FACETS) and not name.startswith("__"):
        return FACET_COST
    return COSTLY_FIELDS.get(name) or COSTLY_FIELDS.get(f"{parent.name}.{name}", 1)


def cost_excess(cost: int, operation: OperationDefinitionNode, limits: Limits) -> list[GraphQLError]:
    """The refusal of an operation that costs more than `limits.cost`, if it does."""
    if cost <= limits.cost:
        return []
    message = f"Costs {cost}, which exceeds the limit of {limits.cost}: ask for smaller pages or fewer fields."
    return [GraphQLError(message, [operation], extensions={"code": FaultCode.OPERATION_TOO_LARGE})]


def cost_report(cost: int, limits: Limits) -> dict[str, int]:
    """The value of a response's `extensions.cost`."""
    return {"requested": cost, "maximum": limits.cost}


def _with_defaults(operation: OperationDefinitionNode, variables: Mapping[str, object]) -> dict[str, object]:
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    return {**defaults, **variables}


@dataclass(frozen=True, slots=True)
class _Price:
    """What is paid for each item of a page or a list, and what is paid once."""

    item: int = 0
    once: int = 0

    def beside(self, other: _Price) -> _Price:
        return _Price(min(SATURATED, self.item + other.item), min(SATURATED, self.once + other.once))

    def of_items(self, count: int) -> int:
        return min(SATURATED, count * self.item + self.once)


@dataclass(frozen=True, slots=True)
class _Pricing:
    """One pass over one operation with its variables. A fragment is priced once, however often it is spread."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, object]
    priced: dict[str, _Price] = field(default_factory=dict)

    def selection_set(self, node: SelectionSetNode, parent: GraphQLNamedType) -> _Price:
        return reduce(_Price.beside, (self.selection(selection, parent) for selection in node.selections), _Price())

    def selection(self, node: SelectionNode, parent: GraphQLNamedType) -> _Price:
        match node:
            case FieldNode():
                return self.field(node, parent)
            case FragmentSpreadNode():
                return self.fragment(node.name.value)
            case InlineFragmentNode():
                condition = node.type_condition
                return self.selection_set(
                    node.selection_set, self.type_named(condition.name.value) if condition else parent
                )
        raise TypeError(f"unknown kind of selection: {node.kind}")

    def fragment(self, name: str) -> _Price:
        if name not in self.priced:
            fragment = self.fragments[name]
            self.priced[name] = self.selection_set(
                fragment.selection_set, self.type_named(fragment.type_condition.name.value)
            )
        return self.priced[name]

    def field(self, node: FieldNode, parent: GraphQLNamedType) -> _Price:
        if node.name.value in ("__schema", "__type"):
            return _Price(INTROSPECTION_COST)
        if node.name.value in COUNTS and parent.name.endswith("Connection"):
            return _Price(once=COUNT_COST)
        definition = self.schema.get_field(parent, node.name.value) if is_composite_type(parent) else None
        own = _own_cost(parent, node.name.value)
        if definition is None or node.selection_set is None:
            return _Price(own)
        below = self.selection_set(node.selection_set, get_named_type(definition.type))
        return _Price(min(SATURATED, own + below.of_items(self.item_count(node, definition, parent))))

    def item_count(self, node: FieldNode, definition: GraphQLField, parent: GraphQLNamedType) -> int:
        given = {
            argument.name.value: value_from_ast_untyped(argument.value, self.variables)
            for argument in node.arguments or ()
        }
        for size in (given.get("last"), given.get("first")):
            if isinstance(size, int):
                return max(1, min(SATURATED, size))
        if "first" in definition.args:
            return DEFAULT_PAGE_SIZE
        if is_list_type(get_nullable_type(definition.type)):
            # The nodes of a page are counted where its size is given.
            unsized = 1 if parent.name.endswith("Connection") else UNSIZED_LIST_SIZE
            return max((len(value) for value in given.values() if isinstance(value, list)), default=unsized)
        return 1

    def type_named(self, name: str) -> GraphQLNamedType:
        return self.schema.type_map[name]
