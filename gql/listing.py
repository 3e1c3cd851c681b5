"""Arguments of lists and look-ups as conditions, order and stretch of what is read, for both executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial, reduce
from operator import getitem
from typing import Any, Protocol, TypeAlias

from graphql import GraphQLArgument, GraphQLInputField, GraphQLInputObjectType, get_named_type

from db.reading import Comparison, Condition, Has, IdByName, Order, Parameter, ParentColumn, Predicate, Source, Span
from gql.bad_input import bad_input, storable
from gql.connection import LARGEST_PAGE, USUAL_PAGE
from gql.context import Context
from gql.cursor import cursor_key
from gql.definition import input_field, python_name
from gql.filter import Argument, Choice, Having, OrderDirection, Restriction, choice_of, restriction_of
from gql.identifier import Prefix, decode
from gql.mapping import Tally, ToMany

FILTER = "filter"
IN_NO_ORDER = ()
Arguments: TypeAlias = Mapping[str, Any]
Definitions: TypeAlias = Mapping[str, GraphQLArgument] | Mapping[str, GraphQLInputField]
Read: TypeAlias = Callable[[Arguments, Context], object]


class Bind(Protocol):
    """Makes a parameter whose value is read off the arguments of each run."""

    def __call__(self, type: str, read: Read) -> Parameter: ...


def source_of(view: str, key: str | None, parent: ParentColumn | None, order: Order | None = None) -> Source:
    """The rows that name their parent by `key`, or all rows."""
    if key is None or parent is None:
        return Source(view, (), order)
    return Source(view, (Condition(key, Comparison.EQUAL, parent),), order)


def filtered(source: Source, definitions: Definitions, arguments: Arguments, bind: Bind) -> Source:
    """What the argument `filter` leaves of a source."""
    given = arguments.get(FILTER)
    if not given:
        return source
    predicates = tuple(_restricted(definitions[FILTER], (FILTER,), given, bind))
    if source.conditions:
        # An index has a parent's rows side by side in an order, and no index those of them that a filter leaves.
        predicates = tuple(_scattered(each) for each in predicates)
    return Source(source.view, source.conditions + predicates, source.order)


def _scattered(predicate: Predicate) -> Predicate:
    return replace(predicate, orders=IN_NO_ORDER) if isinstance(predicate, Condition) else predicate


def _restricted(
    definition: GraphQLArgument | GraphQLInputField, path: tuple[str, ...], given: Arguments, bind: Bind
) -> Iterator[Predicate]:
    """What a filter that is given at a path of the arguments restricts."""
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLInputObjectType)
    for name, value in given.items():
        here, field = (*path, name), kind.fields[name]
        rule = restriction_of(input_field(field))
        if value is None:
            continue
        if isinstance(rule, Having):
            yield Has(rule.view, rule.key, tuple(_restricted(field, here, value, bind)))
        else:
            yield _compared(here, rule, value, bind)


def chosen(
    source: Source, choosers: Mapping[str, Argument], definitions: Definitions, arguments: Arguments, bind: Bind
) -> Source:
    """What a field's own arguments leave of a source."""
    conditions = tuple(
        Condition(rule.column, rule.comparison, bind(rule.type, _given_or_usual(name, chooser, rule)))
        for name, chooser in ((name, choosers[python_name(each)]) for name, each in definitions.items())
        for rule in chooser.restrictions
        if arguments.get(name) is not None or chooser.if_left_out is not None
    )
    return Source(source.view, source.conditions + conditions, source.order)


def _given_or_usual(name: str, chooser: Argument, rule: Restriction) -> Read:
    def read(arguments: Arguments, context: Context) -> object:
        given = arguments.get(name)
        return chooser.if_left_out if given is None else _item(rule, given, context)

    return read


def _item(rule: Restriction, value: Any, context: Context) -> object:
    """What a row's column is compared with, for what was given. Raises what `read` raises, and Unmatchable."""
    made = rule.read(value, context) if rule.read else value
    return storable(made) if isinstance(made, str) else made


def _compared(path: tuple[str, ...], rule: Restriction, value: object, bind: Bind) -> Condition:
    item = partial(_item, rule)

    def items(arguments: Arguments, context: Context) -> list[object]:
        values = _at(path, arguments)
        if len(values) > LARGEST_PAGE:
            raise bad_input(f"A filter takes at most {LARGEST_PAGE} values; {path[-1]} has {len(values)}.")
        return list(dict.fromkeys(item(each, context) for each in values))

    if isinstance(value, list) and len(value) == 1:
        # Comparing with one value lets the index on it give the order too.
        one = bind(rule.type, lambda arguments, context: item(_at(path, arguments)[0], context))
        return Condition(rule.column, rule.comparison, one, rule.orders)
    if isinstance(value, list):
        of_any = Comparison.OVERLAPS if rule.comparison is Comparison.CONTAINS else Comparison.ANY
        return Condition(rule.column, of_any, bind(f"{rule.type}[]", items), IN_NO_ORDER)
    comparison = rule.when_false if value is False and rule.when_false else rule.comparison
    given = bind(rule.type, lambda arguments, context: item(_at(path, arguments), context))
    operand = IdByName(rule.named_in, given, rule.named_by) if rule.named_in else given
    hint = _compared(path, rule.hint, value, bind) if rule.hint else None
    return Condition(rule.column, comparison, operand, rule.orders, hint)


def _at(path: tuple[str, ...], arguments: Arguments) -> Any:
    return reduce(getitem, path, arguments)


def span_of(mapping: ToMany, definitions: Definitions, arguments: Arguments, bind: Bind) -> Span:
    """Raises GraphQLError for a page size outside 0 to 100."""
    first, last = arguments.get("first"), arguments.get("last")
    first = USUAL_PAGE if first is None else first
    size = first if last is None else last
    if not 0 <= size <= LARGEST_PAGE:
        raise bad_input(f"A page has 0 to {LARGEST_PAGE} nodes; {'first' if last is None else 'last'} is {size}.")
    order = _order(mapping.order, definitions, arguments)
    return Span(
        order,
        size,
        is_backward=last is not None,
        after=_cursor("after", order, arguments, bind),
        before=_cursor("before", order, arguments, bind),
    )


def tally_size(mapping: Tally, arguments: Arguments) -> int | None:
    """How many values of a facet are shown; None: all. Raises GraphQLError for a number outside 0 to 100."""
    given = arguments.get("first")
    size = USUAL_PAGE if given is None else given
    if not 0 <= size <= LARGEST_PAGE:
        raise bad_input(f"A facet shows 0 to {LARGEST_PAGE} values; first is {size}.")
    return size if mapping.is_open else None


def _order(usual: Order, definitions: Definitions, arguments: Arguments) -> Order:
    given = arguments.get("orderBy")
    if given is None:
        return usual
    kind = get_named_type(definitions["orderBy"].type)
    assert isinstance(kind, GraphQLInputObjectType)
    choice: Choice = choice_of(input_field(kind.fields["field"]))
    order = choice.orders[given["field"]]
    return order.reversed() if given["direction"] is OrderDirection.DESC else order


def _cursor(name: str, order: Order, arguments: Arguments, bind: Bind) -> tuple[Parameter, ...]:
    if arguments.get(name) is None:
        return ()

    def part(position: int) -> Read:
        return lambda arguments, _: cursor_key(order, arguments[name])[position]

    return tuple(bind(key.type, part(position)) for position, key in enumerate(order.key))


def found_by(view: str, prefix: Prefix | None, definitions: Definitions, arguments: Arguments, bind: Bind) -> Source:
    """The one row whose columns have the values that are given: a column of each argument's or input field's name."""
    return Source(view, tuple(_columns(prefix, definitions, arguments, (), bind)))


def _columns(
    prefix: Prefix | None, definitions: Definitions, given: Arguments, path: tuple[str, ...], bind: Bind
) -> Iterator[Condition]:
    for name, value in given.items():
        definition, here = definitions[name], (*path, name)
        kind = get_named_type(definition.type)
        if isinstance(kind, GraphQLInputObjectType) and value is not None:
            yield from _columns(prefix, kind.fields, value, here, bind)
        elif value is not None:
            yield _equal(prefix, kind.name, python_name(definition), here, bind)


def _equal(prefix: Prefix | None, type_name: str, column: str, path: tuple[str, ...], bind: Bind) -> Condition:
    if type_name != "ID":
        return Condition(column, Comparison.EQUAL, bind("text", lambda arguments, _: storable(_at(path, arguments))))
    assert prefix is not None
    return Condition(column, Comparison.EQUAL, bind("uuid", lambda arguments, _: decode(prefix, _at(path, arguments))))
