"""The arguments of one field of a plan: known at once, or made of the variables of each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphql import FieldNode, GraphQLField, ValueNode, VariableNode, get_argument_values
from graphql.execution.values import VariableValues
from graphql.language import ListValueNode, ObjectValueNode

from gql.listing import Arguments
from gql.variables import PlainValues

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments as they were when the plan was made, and where in them variables stand."""

    made_with: Arguments
    variables: Sequence[tuple[Path, str]] = ()
    asked: tuple[GraphQLField, FieldNode] | None = None

    def values(self, variables: VariableValues) -> Arguments:
        """Raises GraphQLError for what an argument's type does not take."""
        if self.asked is None:
            return self.made_with
        if not isinstance(variables, PlainValues):
            return get_argument_values(*self.asked, variables)
        values: Any = self.made_with
        for path, name in self.variables:
            values = _replaced(values, path, variables.coerced[name])
        return values  # type: ignore[no-any-return]


def constant_arguments(values: Arguments) -> Given:
    return Given(values)


def arguments_of(definition: GraphQLField, node: FieldNode, values: Arguments) -> Given:
    """`values` are the arguments with the variables as they are now."""
    variables = [place for each in node.arguments or () for place in _variables(each.value, (each.name.value,))]
    return Given(values, variables, (definition, node)) if variables else Given(values)


def _variables(value: ValueNode, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case VariableNode():
            yield path, value.name.value
        case ObjectValueNode():
            for field in value.fields:
                yield from _variables(field.value, (*path, field.name.value))
        case ListValueNode():
            for position, item in enumerate(value.values):
                yield from _variables(item, (*path, position))


def _replaced(values: Any, path: Path, value: object) -> Any:
    """The same with another value in one place; what was there is left as it is."""
    if not path:
        return value
    step, *rest = path
    copied = values.copy()
    copied[step] = _replaced(values[step], tuple(rest), value)
    return copied
