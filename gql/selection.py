"""Selection sets with fragments spread and directives decided: which fields of a type are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
)
from graphql.language import BooleanValueNode

from gql.unplannable import Unplannable

Fields: TypeAlias = dict[str, list[FieldNode]]


@dataclass(frozen=True, slots=True)
class Selections:
    """Of one operation, with its fragments and the values of its variables."""

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]

    def fields(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> Fields:
        """The fields that an object of this type answers, in the order in which they are first asked for."""
        found: Fields = {}
        self._collect(kind, sets, found, set())
        return found

    def below(self, kind: GraphQLObjectType, nodes: Iterable[FieldNode]) -> Fields:
        """The fields that are asked of what these fields, of one response key, answer with."""
        return self.fields(kind, (node.selection_set for node in nodes))

    def _collect(
        self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode | None], found: Fields, spread: set[str]
    ) -> None:
        for selection in (selection for one in sets if one is not None for selection in one.selections):
            if not self._is_included(selection):
                continue
            match selection:
                case FieldNode():
                    key = selection.alias.value if selection.alias else selection.name.value
                    found.setdefault(key, []).append(selection)
                case FragmentSpreadNode() if selection.name.value not in spread:
                    spread.add(selection.name.value)
                    self._collect_fragment(kind, self.fragments[selection.name.value], found, spread)
                case InlineFragmentNode():
                    self._collect_fragment(kind, selection, found, spread)

    def _collect_fragment(
        self,
        kind: GraphQLObjectType,
        fragment: FragmentDefinitionNode | InlineFragmentNode,
        found: Fields,
        spread: set[str],
    ) -> None:
        condition = fragment.type_condition
        named = self.schema.type_map[condition.name.value] if condition else kind
        if named is kind or (is_abstract_type(named) and self.schema.is_sub_type(named, kind)):
            self._collect(kind, [fragment.selection_set], found, spread)

    def _is_included(self, selection: SelectionNode) -> bool:
        for directive in selection.directives or ():
            name = directive.name.value
            if name not in ("skip", "include"):
                raise Unplannable(f"the directive @{name}")
            if self._condition((directive.arguments or ())[0].value) is (name == "skip"):
                return False
        return True

    def _condition(self, value: object) -> bool:
        match value:
            case BooleanValueNode():
                return bool(value.value)
            case VariableNode() if isinstance(self.variables.get(value.name.value), bool):
                return bool(self.variables[value.name.value])
        raise Unplannable("a directive without its value")
