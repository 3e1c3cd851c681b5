"""What one operation may ask for, counted through fragments before any other rule reads the document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypedDict

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from gql.fault_code import FaultCode

SATURATED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one operation.

    `depth` counts fields, but none below an introspection field: graphql-core has a rule for those. `nesting` counts
    every selection set, fragments' too. `cost` is counted with the schema and the variables, see gql/cost.py.
    """

    depth: int = 15
    nesting: int = 60
    aliases: int = 30
    alias_characters: int = 100
    directives: int = 30
    selections: int = 2_000
    root_fields: int = 20
    cost: int = 50_000
    tokens: int = 5_000
    comments: int = 1_000
    source_characters: int = 100_000
    validation_errors: int = 5
    execution_seconds: float = 60.0
    introspection: bool = True


class ParseOptions(TypedDict):
    """Keyword arguments of graphql-core's `parse`."""

    max_lexical_tokens: int
    max_comments: int
    max_source_length: int
    allow_empty_selection_sets: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much a selection set asks for, with everything below it. Counts stop growing at `SATURATED`."""

    depth: int = 0
    nesting: int = 0
    aliases: int = 0
    alias_characters: int = 0
    directives: int = 0
    selections: int = 0
    root_fields: int = 0

    def beside(self, other: Extent) -> Extent:
        """Both in one selection set: heights overlap, counts add up."""
        return Extent(
            depth=max(self.depth, other.depth),
            nesting=max(self.nesting, other.nesting),
            aliases=min(SATURATED, self.aliases + other.aliases),
            alias_characters=max(self.alias_characters, other.alias_characters),
            directives=min(SATURATED, self.directives + other.directives),
            selections=min(SATURATED, self.selections + other.selections),
            root_fields=min(SATURATED, self.root_fields + other.root_fields),
        )


def parse_options(limits: Limits) -> ParseOptions:
    """Bounds that hold while a document is parsed."""
    return ParseOptions(
        max_lexical_tokens=limits.tokens,
        max_comments=limits.comments,
        max_source_length=limits.source_characters,
        allow_empty_selection_sets=False,
    )


def excesses(document: DocumentNode, limits: Limits) -> Iterator[GraphQLError]:
    """One error for each static limit that a definition of the document exceeds; the pass is linear in its length."""
    for definition, extent in _extents(document, limits.nesting):
        for name, limit, amount in _bounded(extent, limits):
            if amount > limit:
                message = f"Exceeds the limit of {limit} for {name}."
                yield GraphQLError(message, [definition], extensions={"code": FaultCode.OPERATION_TOO_LARGE})


def _bounded(extent: Extent, limits: Limits) -> Iterator[tuple[str, int, int]]:
    yield "depth", limits.depth, extent.depth
    yield "nesting", limits.nesting, extent.nesting
    yield "aliases", limits.aliases, extent.aliases
    yield "characters of an alias", limits.alias_characters, extent.alias_characters
    yield "directives", limits.directives, extent.directives
    yield "selections", limits.selections, extent.selections
    yield "root fields", limits.root_fields, extent.root_fields


def _extents(document: DocumentNode, nesting_limit: int) -> Iterator[tuple[ExecutableDefinitionNode, Extent]]:
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    measure = _Measure(fragments, nesting_limit)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield definition, measure.definition(definition)
        elif isinstance(definition, FragmentDefinitionNode):
            # measured even if nothing spreads it: the standard rules walk it all the same
            yield definition, replace(measure.definition(definition), root_fields=0)


@dataclass(frozen=True, slots=True)
class _Measure:
    """One pass over one document. A fragment is measured once, however often it is spread."""

    fragments: dict[str, FragmentDefinitionNode]
    nesting_limit: int
    measured: dict[str, Extent] = field(default_factory=dict)
    open_fragments: set[str] = field(default_factory=set)

    def definition(self, node: ExecutableDefinitionNode) -> Extent:
        own = len(node.directives or ()) + sum(len(v.directives or ()) for v in node.variable_definitions or ())
        return Extent(directives=own).beside(self.selection_set(node.selection_set, 1))

    def selection_set(self, node: SelectionSetNode, level: int) -> Extent:
        if level > self.nesting_limit:
            return Extent(nesting=SATURATED)
        extent = Extent()
        for selection in node.selections:
            extent = extent.beside(Extent(directives=len(selection.directives or ())))
            extent = extent.beside(self.selection(selection, level))
        return replace(extent, nesting=min(SATURATED, extent.nesting + 1))

    def selection(self, node: SelectionNode, level: int) -> Extent:
        match node:
            case FieldNode():
                return self.field(node, level)
            case FragmentSpreadNode():
                return self.fragment(node.name.value, level)
            case InlineFragmentNode():
                return self.selection_set(node.selection_set, level + 1)
        raise TypeError(f"unknown kind of selection: {node.kind}")

    def field(self, node: FieldNode, level: int) -> Extent:
        below = self.selection_set(node.selection_set, level + 1) if node.selection_set else Extent()
        return Extent(
            depth=0 if node.name.value.startswith("__") else below.depth + 1,
            nesting=below.nesting,
            aliases=min(SATURATED, below.aliases + (node.alias is not None)),
            alias_characters=max(below.alias_characters, len(node.alias.value) if node.alias else 0),
            directives=below.directives,
            selections=min(SATURATED, below.selections + 1),
            root_fields=1,
        )

    def fragment(self, name: str, level: int) -> Extent:
        if name in self.open_fragments or name not in self.fragments:
            return Extent()  # cycles and unknown names have standard rules of their own
        if name not in self.measured:
            self.open_fragments.add(name)
            self.measured[name] = self.selection_set(self.fragments[name].selection_set, level + 1)
            self.open_fragments.discard(name)
        return self.measured[name]
