"""Variables of one operation, as their types have them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from graphql import (
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    get_nullable_type,
    is_specified_scalar_type,
    type_from_ast,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values

from gql.shape import shape


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_int(value: object) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


# Values of these types are their own coerced values.
PLAIN: Mapping[str, Callable[[object], bool]] = MappingProxyType({"String": _is_text, "ID": _is_text, "Int": _is_int})


class PlainValues(VariableValues):
    """All variables are given, and none is null: an argument that is a variable has the variable's value."""


class Variables:
    """Coerces what requests bring along. Nearly always each variable is a text or a number, and is taken as it is."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._plain = self._plain_signatures()
        self._opaque = frozenset(self._opaque_names())

    def values(self, given: Mapping[str, Any]) -> VariableValues | None:
        """None where graphql-core has to tell what is wrong with them."""
        if self._plain is not None:
            found = {name: given.get(name) for name in self._plain}
            if all(is_plain(found[name]) for name, (is_plain, _) in self._plain.items()):
                sources = {n: VariableValueSource(signature, found[n]) for n, (_, signature) in self._plain.items()}
                return PlainValues(sources, found)
        values = get_variable_values(self._schema, self._definitions, {**given})
        return values if isinstance(values, VariableValues) else None

    def shape(self, values: VariableValues) -> Hashable:
        """What of the values a plan depends on."""
        return tuple((name, name in self._opaque or shape(value)) for name, value in values.coerced.items())

    def _opaque_names(self) -> Iterator[str]:
        """Those of scalars whose values are the client's to build."""
        for definition in self._definitions:
            kind = type_from_ast(self._schema, definition.type)
            named = get_named_type(kind) if kind else None
            if isinstance(named, GraphQLScalarType) and not is_specified_scalar_type(named):
                yield definition.variable.name.value

    def _plain_signatures(self) -> dict[str, tuple[Callable[[object], bool], GraphQLVariableSignature]] | None:
        """By name, where all variables are of types whose values need nothing done."""
        found = {}
        for definition in self._definitions:
            signature = get_variable_signature(self._schema, definition)
            if not isinstance(signature, GraphQLVariableSignature):
                return None
            is_plain = PLAIN.get(str(get_nullable_type(signature.type)))
            if is_plain is None:
                return None
            found[signature.name] = (is_plain, signature)
        return found
