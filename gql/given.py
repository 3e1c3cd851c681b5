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
    """The arguments but for the values of variables, and where in them those go, where that is all there is to it."""

    known: Arguments
    variables: Sequence[tuple[Path, str]] = ()
    asked: tuple[GraphQLField, FieldNode] | None = None

    def values(self, variables: VariableValues) -> Arguments:
        """Raises GraphQLError for what an argument's type does not take."""
        if self.asked is None:
            return self.known
        if not self.variables or not isinstance(variables, PlainValues):
            return get_argument_values(*self.asked, variables)
        values: Any = self.known
        for path, name in self.variables:
            values = _replaced(values, path, variables.coerced[name])
        return values  # type: ignore[no-any-return]


def constant_arguments(values: Arguments) -> Given:
    return Given(values)


def arguments_of(definition: GraphQLField, node: FieldNode, values: Arguments) -> Given:
    """`values` are the arguments with the variables as they are now."""
    variables = [place for each in node.arguments or () for place in _variables(each.value, (each.name.value,))]
    if not variables:
        return Given(values)
    if not all(_is_there(values, path) for path, _ in variables):
        return Given({}, (), (definition, node))
    known: Any = values
    for path, _ in variables:
        known = _replaced(known, path, None)
    return Given(known, variables, (definition, node))


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


def _is_there(values: Any, path: Path) -> bool:
    """Whether a path through the document leads through the values too: one item may stand for a list of one."""
    for step in path:
        match values, step:
            case dict(), str() if step in values:
                values = values[step]
            case list(), int():
                values = values[step]
            case _:
                return False
    return True


def _replaced(values: Any, path: Path, value: object) -> Any:
    """The same with another value in one place; what was there is left as it is."""
    if not path:
        return value
    step, *rest = path
    copied = values.copy()
    copied[step] = _replaced(values[step], tuple(rest), value)
    return copied
