"""Rows of views as SQL: the one place where a view is named, and with it the workspace that its rows have to be of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from db.reading.tree import Condition, Has, IdByName, KeyPart, Order, Parameter, ParentColumn, Predicate, Source, Span

WORKSPACE = "$1::uuid"
# What workspaces show each other: all rows of this view are everybody's. What they lead to is the reader's own.
WORKSPACE_FREE = "market_listing"
# How many rows of an order are looked at before something is looked for in all of them.
WINDOW = 2_000


def quoted(text: str) -> str:
    """A literal of type text."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'::text"


@dataclass(frozen=True, slots=True)
class Scope:
    """A row by its alias, and which of its columns are used."""

    alias: str
    columns: dict[str, None] = field(default_factory=dict)

    def column(self, name: str) -> str:
        self.columns[name] = None
        return f"{self.alias}.{name}"


@dataclass(slots=True)
class SourceWriter:
    """Writes what follows a select list. Aliases and parameters are numbered through one whole statement."""

    parameters: list[Parameter] = field(default_factory=list)
    aliases: int = 0

    def alias(self) -> str:
        self.aliases += 1
        return f"t{self.aliases}"

    def scope(self) -> Scope:
        return Scope(self.alias())

    def parameter(self, parameter: Parameter) -> str:
        if parameter not in self.parameters:
            self.parameters.append(parameter)
        return f"${self.parameters.index(parameter) + 2}::{parameter.type}"

    def rows(
        self,
        source: Source,
        rows: Scope,
        parent: Scope,
        *,
        beside: str = "",
        more: Sequence[str] = (),
        limit: int | None = None,
    ) -> str:
        """FROM to LIMIT. The workspace's predicate is written here, for every view that is read."""
        conditions = [_of_the_workspace(source.view, rows)]
        conditions += [self.predicate(each, rows, parent) for each in _with_hints(source)]
        text = f"FROM {beside}reading.{source.view} {rows.alias} WHERE {' AND '.join([*conditions, *more])}"
        if source.order is not None:
            text += f" ORDER BY {_ordering(source.order, rows)}"
        return text if limit is None else f"{text} LIMIT {limit}"

    def span(self, source: Source, span: Span, rows: Scope, parent: Scope, *, limit: int) -> str:
        """A stretch of a source, from FROM to LIMIT, in the order in which it is read."""
        ordered = Source(source.view, source.conditions, span.reading_order)
        if any(condition.is_scattered_in(span.order) for condition in source.conditions):
            return self.scattered(ordered, span, rows, parent, limit=limit)
        return self.rows(ordered, rows, parent, more=self.seeks(span, rows), limit=limit)

    def scattered(self, source: Source, span: Span, rows: Scope, parent: Scope, *, limit: int) -> str:
        """Of rows that no index has side by side in the order: from those that come first in it, or else from all.

        What many rows meet fills the page from among the first; what few meet is found by its own index, and sorted.
        """
        keys = [part.column for part in span.order.key]
        window, found, inner = self.scope(), self.scope(), self.scope()
        first, page = self.alias(), self.alias()
        beside = tuple(each for each in source.conditions if not each.is_scattered_in(span.order))
        apart = [each for each in source.conditions if each.is_scattered_in(span.order)]
        is_met = " AND ".join(self.test(each, window, parent) for each in apart)
        in_order = Source(source.view, beside, span.reading_order)
        # Of a number that it does not know Postgres takes the order's index to be the cheapest way, and not a sort.
        near = f"{self.rows(in_order, window, parent, more=self.seeks(span, window))} LIMIT (SELECT {WINDOW})"
        # OFFSET 0 lets Postgres choose an index for what is looked for, not one for the order.
        far = self.rows(Source(source.view, source.conditions), inner, parent)
        too_few = f"(SELECT count(*) FROM {first}) < {limit}"
        behind = " AND ".join([too_few, *self.seeks(span, found)])
        names = ", ".join(keys)
        text = (
            f"(WITH {window.alias}w AS MATERIALIZED"
            f" (SELECT {', '.join(map(window.column, keys))}, {is_met} AS is_met {near}),"
            f" {first} AS MATERIALIZED (SELECT {names} FROM {window.alias}w WHERE is_met LIMIT {limit})"
            f" SELECT {names} FROM {first} WHERE NOT {too_few} UNION ALL (SELECT {names}"
            f" FROM (SELECT {', '.join(map(inner.column, keys))} {far} OFFSET 0) {found.alias}"
            f" WHERE {behind} ORDER BY {_ordering(span.reading_order, found)} LIMIT {limit})) {page}, "
        )
        unique = f"{rows.alias}.{keys[-1]} = {page}.{keys[-1]}"
        return self.rows(in_order, rows, parent, beside=text, more=[unique], limit=limit)

    def seeks(self, span: Span, rows: Scope) -> list[str]:
        seeks = []
        if span.after:
            seeks.append(self.seek(span.order, span.after, rows))
        if span.before:
            seeks.append(self.seek(span.order.reversed(), span.before, rows))
        return seeks

    def predicate(self, predicate: Predicate, rows: Scope, parent: Scope) -> str:
        """Of all rows at once."""
        match predicate:
            case Condition():
                return self.condition(predicate, rows, parent)
            case Has():
                theirs = self.scope()
                found = (
                    f"SELECT DISTINCT {theirs.column(predicate.key)} {self.rows(_theirs(predicate), theirs, theirs)}"
                )
                # Of IN Postgres may read all rows to join them; with an array it begins with those that they have.
                return f"{rows.alias}.id = ANY(ARRAY({found}))"
        assert_never(predicate)

    def test(self, predicate: Predicate, rows: Scope, parent: Scope) -> str:
        """The same, of a row that is there already."""
        match predicate:
            case Condition():
                return self.condition(predicate, rows, parent)
            case Has():
                theirs = self.scope()
                key = f"{theirs.column(predicate.key)} = {rows.alias}.id"
                # Of EXISTS Postgres may read all rows that any of them has; of one value it cannot.
                return f"(SELECT true {self.rows(_theirs(predicate), theirs, theirs, more=[key], limit=1)}) IS NOT NULL"
        assert_never(predicate)

    def condition(self, condition: Condition, rows: Scope, parent: Scope) -> str:
        operand = condition.operand
        match operand:
            case Parameter():
                text = self.parameter(operand)
            case ParentColumn():
                text = parent.column(operand.name)
            case IdByName():
                named = self.scope()
                name = Condition("name", operand.comparison, operand.name)
                text = f"(SELECT {named.alias}.id {self.rows(Source(operand.view, (name,)), named, named)})"
            case _:
                assert_never(operand)
        return condition.comparison.value.format(column=f"{rows.alias}.{condition.column}", value=text)

    def seek(self, order: Order, values: Sequence[Parameter], rows: Scope) -> str:
        """Only what comes behind a key. The key is unique in the source, so no row is met twice or left out."""
        columns = ", ".join(f"{rows.alias}.{part.column}" for part in order.key)
        operands = ", ".join(self.parameter(value) for value in values)
        return f"({columns}) {'<' if order.is_descending else '>'} ({operands})"


def _theirs(has: Has) -> Source:
    return Source(has.view, has.conditions)


def _with_hints(source: Source) -> Iterator[Predicate]:
    """Without an order the index of the condition itself serves, where there is one that has an order."""
    for condition in source.conditions:
        yield condition
        if isinstance(condition, Condition) and condition.hint and (source.order is not None or not condition.orders):
            yield condition.hint


def _of_the_workspace(view: str, rows: Scope) -> str:
    # Postgres insists on each parameter being used.
    return f"{WORKSPACE} IS NOT NULL" if view == WORKSPACE_FREE else f"{rows.alias}.workspace_id = {WORKSPACE}"


def _ordering(order: Order, rows: Scope) -> str:
    direction = "DESC" if order.is_descending else "ASC"
    return ", ".join(f"{rows.alias}.{part.column} {direction}" for part in order.key)


def cursor_text(order: Order, columns: Sequence[str]) -> str:
    """The cursor of a row: the order's name and the row's key in it, of characters that are safe in URLs."""
    parts = [quoted(order.name), *(_cursor_part(part, column) for part, column in zip(order.key, columns, strict=True))]
    return " || '_' || ".join(parts)


def _cursor_part(part: KeyPart, column: str) -> str:
    match part.type:
        case "uuid":
            return f"encode(uuid_send({column}), 'hex')"
        case "bigint":
            return f"{column}::text"
        case "text":
            return f"encode(convert_to({column}, 'UTF8'), 'hex')"
    raise ValueError(f"no cursor holds a {part.type}")
