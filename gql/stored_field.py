"""How fields of stored types are declared, each with where its values are.

    to_one(column)          the row whose id is in a column of this one
    newest(key, order)      the first row, in an order, of those that name this one; its arguments say of which
    rows(key, order)        all rows that name this one, as a plain list; without a key all there are, for the root
    to_many(key, order)     the same as a connection; without a key all rows, for the root
    inline(prefix)          an object made of columns of the same row
    embedded(column)        an object, or a list of them, in a json column
    identifier(prefix)      another thing's id
    computed(function)      what no column holds: a function of the context and of columns, named by its parameters
    by_key(attribute)       in payloads: the object whose key a mutation answered
    find(argument)          at the root: one row by an argument
    every(argument)         at the root: rows of any type by their ids
    facets(view, filter)    at the root: an object of counts, of total() and of tally(column)

All of them give Strawberry a field without a value of its own: the planner reads it, or a resolver that
gql/stored_resolver.py derives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, get_args
from uuid import UUID

import strawberry

from db.reading import Order
from gql.connection import USUAL_PAGE, After, Before, First, Last
from gql.context import Context
from gql.filter import Argument
from gql.identifier import Prefix
from gql.mapping import (
    BY_ID,
    METADATA,
    ByKey,
    Computed,
    Embedded,
    Every,
    Facets,
    FieldMapping,
    Find,
    Identifier,
    Inline,
    Rows,
    Tally,
    ToMany,
    ToOne,
    Total,
)

NO_ARGUMENTS: Mapping[str, Argument] = MappingProxyType({})
NOWHERE_ELSE: Mapping[Prefix, Callable[[Context, UUID], object]] = MappingProxyType({})
PAGE_ARGUMENTS = (("first", First, USUAL_PAGE), ("after", After, None), ("last", Last, None), ("before", Before, None))


def identifier(prefix: Prefix, *, column: str, description: str) -> Any:
    return _declared(Identifier(column, prefix), description)


def to_one(column: str, *, view: str | None = None, description: str) -> Any:
    return _declared(ToOne(column, view=view), description)


def newest(
    key: str,
    order: Order,
    *,
    view: str | None = None,
    arguments: Mapping[str, Argument] = NO_ARGUMENTS,
    description: str,
) -> Any:
    """`arguments` are by their Python names, and restrict the rows of which the first one is taken."""
    declared = ((name, *_argument(argument)) for name, argument in arguments.items())
    return _declared(ToOne("id", key, view, order, arguments), description, declared)


def rows(key: str | None, order: Order, *, view: str | None = None, description: str) -> Any:
    return _declared(Rows(key, order, view=view), description)


def to_many(
    key: str | None = None,
    order: Order | None = None,
    *,
    view: str | None = None,
    filter: Any = None,
    order_by: Any = None,
    description: str,
) -> Any:
    """`filter` and `order_by` are input types: see gql/filter.py. Without an order the newest come first."""
    arguments: list[tuple[str, Any, Any]] = [*PAGE_ARGUMENTS]
    if order_by is not None:
        said = strawberry.argument(description="In which order; the newest first if left out.")
        arguments.insert(0, ("order_by", Annotated[order_by | None, said], None))
    if filter is not None:
        said = strawberry.argument(description="Which ones; all if left out.")
        arguments.insert(0, ("filter", Annotated[filter | None, said], None))
    return _declared(ToMany(order or BY_ID, key, view=view), description, arguments)


def inline(prefix: str, *, present: str | None = None, type_column: str | None = None, description: str) -> Any:
    return _declared(Inline(prefix, present, type_column), description)


def embedded(column: str, *, type: type | None = None, description: str) -> Any:
    return _declared(Embedded(column, type), description)


def computed(function: Callable[..., Any], *, description: str) -> Any:
    """The function takes the context, then columns by their names, or one dataclass with fields of their names."""
    _, *needs = inspect.signature(function, eval_str=True).parameters.values()
    if len(needs) == 1 and is_dataclass(needs[0].annotation):
        made: Any = needs[0].annotation
        columns = {field.name: object for field in fields(made)}
        return _declared(Computed(lambda context, **given: function(context, made(**given)), columns), description)
    return _declared(Computed(function, {need.name: need.annotation for need in needs}), description)


def by_key(attribute: str, *, view: str | None = None, description: str) -> Any:
    return _declared(ByKey(attribute, view), description)


def find(argument: str, type: Any, *, said: str, description: str) -> Any:
    """`said` describes the argument."""
    return _declared(Find(), description, [_required(argument, type, said)])


def every(
    argument: str,
    type: Any,
    *,
    said: str,
    description: str,
    name: str | None = None,
    elsewhere: Mapping[Prefix, Callable[[Context, UUID], object]] = NOWHERE_ELSE,
) -> Any:
    """`elsewhere` finds what has an id and no view."""
    return _declared(Every(elsewhere), description, [_required(argument, type, said)], name=name)


def facets(view: str, *, filter: Any, description: str) -> Any:
    said = strawberry.argument(description="Which ones are counted; all if left out.")
    return _declared(Facets(view), description, [("filter", Annotated[filter | None, said], None)])


def total(*, description: str) -> Any:
    return _declared(Total(), description)


def tally(column: str, *, is_array: bool = False, is_open: bool = False, description: str) -> Any:
    """`is_open` where there can be any number of values: the argument `first` says how many are shown."""
    said = strawberry.argument(description="How many of the commonest, at most 100.")
    arguments = [("first", Annotated[int | None, said], USUAL_PAGE)] if is_open else []
    return _declared(Tally(column, is_array, is_open), description, arguments)


def _argument(argument: Argument) -> tuple[Any, Any]:
    """Its annotation and its default."""
    is_required = type(None) not in get_args(argument.type)
    kind: Any = argument.type
    annotation = Annotated[kind, strawberry.argument(description=argument.description)]
    return annotation, inspect.Parameter.empty if is_required else None


def _required(name: str, type: Any, said: str) -> tuple[str, Any, Any]:
    return name, Annotated[type, strawberry.argument(description=said)], inspect.Parameter.empty


def _declared(
    mapping: FieldMapping, description: str, arguments: Iterable[tuple[str, Any, Any]] = (), name: str | None = None
) -> Any:
    """A field whose arguments Strawberry reads off a signature, and whose function is never called."""

    def unresolved() -> None:
        raise NotImplementedError

    keyword = inspect.Parameter.KEYWORD_ONLY
    unresolved.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, kind, default in arguments]
    )
    return strawberry.field(resolver=unresolved, description=description, name=name, metadata={METADATA: mapping})
