"""Rows of views as SQL: the one place where a view is named, and with it the workspace that its rows have to be of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from db.reading.tree import Condition, IdByName, KeyPart, Order, Parameter, ParentColumn, Source, Span

WORKSPACE = "$1::uuid"


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
        self, source: Source, rows: Scope, parent: Scope, *, more: Sequence[str] = (), limit: int | None = None
    ) -> str:
        """FROM to LIMIT. The workspace's predicate is written here, for every view that is read."""
        conditions = [f"{rows.alias}.workspace_id = {WORKSPACE}"]
        conditions += [self.condition(condition, rows, parent) for condition in source.conditions]
        text = f"FROM reading.{source.view} {rows.alias} WHERE {' AND '.join([*conditions, *more])}"
        if source.order is not None:
            text += f" ORDER BY {_ordering(source.order, rows)}"
        return text if limit is None else f"{text} LIMIT {limit}"

    def span(self, source: Source, span: Span, rows: Scope, parent: Scope, *, limit: int) -> str:
        """A stretch of a source, from FROM to LIMIT, in the order in which it is read."""
        more = []
        if span.after:
            more.append(self.seek(span.order, span.after, rows))
        if span.before:
            more.append(self.seek(span.order.reversed(), span.before, rows))
        ordered = Source(source.view, source.conditions, span.reading_order)
        return self.rows(ordered, rows, parent, more=more, limit=limit)

    def condition(self, condition: Condition, rows: Scope, parent: Scope) -> str:
        operand = condition.operand
        match operand:
            case Parameter():
                text = self.parameter(operand)
            case ParentColumn():
                text = parent.column(operand.name)
            case IdByName():
                named = self.scope()
                name = f"{named.alias}.name = {self.parameter(operand.name)}"
                text = f"(SELECT {named.alias}.id {self.rows(Source(operand.view), named, named, more=[name])})"
            case _:
                assert_never(operand)
        return condition.comparison.value.format(column=f"{rows.alias}.{condition.column}", value=text)

    def seek(self, order: Order, values: Sequence[Parameter], rows: Scope) -> str:
        """Only what comes behind a key. The key is unique in the source, so no row is met twice or left out."""
        columns = ", ".join(f"{rows.alias}.{part.column}" for part in order.key)
        operands = ", ".join(self.parameter(value) for value in values)
        return f"({columns}) {'<' if order.is_descending else '>'} ({operands})"


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
