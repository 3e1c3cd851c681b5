"""The tree of what is to be read, as one SQL statement whose result is the JSON text of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from db.reading.source import WORKSPACE, Scope, SourceWriter, cursor_text, quoted
from db.reading.tree import (
    Branch,
    Column,
    ColumnKind,
    Constant,
    Count,
    Cursor,
    Document,
    DocumentField,
    DocumentMember,
    Each,
    Edges,
    Nodes,
    Object,
    Page,
    PageFact,
    PageInfo,
    PageMember,
    Parameter,
    Rows,
    Source,
    Switch,
    ToOne,
    Value,
)

COUNT_CAP = 10_000
# The alias of a subquery of which the whole row is used: no response key can be taken for it.
ROW = '"#"'
POSITION = "reading_position"
Row: TypeAlias = Object | Switch


@dataclass(frozen=True, slots=True)
class Statement:
    """`$1` is the workspace; then come the values of `parameters`, in their order. The result is one text."""

    text: str
    parameters: tuple[Parameter, ...]


def statement(members: Sequence[tuple[str, Value]]) -> Statement:
    """An object with these members, each read independently of the others."""
    writer = _Writer(SourceWriter())
    nowhere = Scope("")
    columns = ", ".join(_named(writer.value(value, nowhere), key) for key, value in members)
    text = f"SELECT to_json({ROW})::text FROM (SELECT {columns}) {ROW}"
    if WORKSPACE not in text:
        # Nothing is read but what the schema itself knows; Postgres insists on each parameter being used.
        text = f"{text} WHERE {WORKSPACE} IS NOT NULL"
    return Statement(text, tuple(writer.sources.parameters))


def _named(expression: str, key: str) -> str:
    return f'{expression} AS "{key}"'


def _required(expression: str, type_name: str, *, is_required: bool) -> str:
    return f"coalesce({expression}, reading.absent(NULL::{type_name}))" if is_required else expression


@dataclass(frozen=True, slots=True)
class _Writer:
    sources: SourceWriter

    def value(self, value: Value, scope: Scope) -> str:
        match value:
            case Constant():
                return quoted(value.text)
            case Column():
                return self.column(value, scope)
            case Object() | Switch():
                return self.row(value, scope)
            case Document():
                return self.document(value, scope.column(value.name), scope.column(value.name))
            case ToOne():
                return _required(self.to_one(value, scope), "json", is_required=value.is_required)
            case Rows():
                return self.rows(value, scope)
            case Page():
                return self.page(value, scope)
            case Each():
                return self.each(value)
        assert_never(value)

    def column(self, column: Column, scope: Scope) -> str:
        name = scope.column(column.name)
        match column.kind:
            case ColumnKind.PLAIN:
                # With a column of its own the error's polymorphic function takes on the column's type.
                return f"coalesce({name}, reading.absent({name}))" if column.is_required else name
            case ColumnKind.MOMENT:
                # What to_json writes of a timestamp is ISO 8601 but for the Z, and cheaper than to_char.
                text = f"replace(to_json({name} AT TIME ZONE 'UTC')::text, '\"', '') || 'Z'"
                return _required(text, "text", is_required=column.is_required)
            case ColumnKind.IDENTIFIER:
                text = f"{quoted(column.prefix + '_')} || encode(uuid_send({name}), 'hex')"
                return _required(text, "text", is_required=column.is_required)
        assert_never(column.kind)

    def row(self, value: Row, scope: Scope) -> str:
        match value:
            case Object():
                inner = f"(SELECT to_json({ROW}) FROM (SELECT {self.members(value, scope)}) {ROW})"
                if value.present is None:
                    return inner
                expression = f"CASE WHEN {scope.column(value.present)} IS NOT NULL THEN {inner} END"
                return _required(expression, "json", is_required=value.is_required)
            case Switch():
                cases = " ".join(f"WHEN {quoted(name)} THEN {self.row(case, scope)}" for name, case in value.cases)
                expression = f"CASE {scope.column(value.column)} {cases} END" if cases else "NULL::json"
                return _required(expression, "json", is_required=value.is_required)
        assert_never(value)

    def members(self, value: Object, scope: Scope) -> str:
        return ", ".join(_named(self.value(member, scope), key) for key, member in value.members)

    def items(self, value: Row, scope: Scope) -> tuple[str, str]:
        """The select list that makes a row's value in a subquery, and the value by the subquery's alias."""
        if isinstance(value, Object) and value.present is None:
            return self.members(value, scope), ROW
        return f"{self.row(value, scope)} AS v", f"{ROW}.v"

    def document(self, value: Document, base: str, null_test: str) -> str:
        if value.is_list:
            element = self.sources.alias()
            members = self.document_members(value.members, f"{element}.value")
            inner = (
                f"(SELECT coalesce(json_agg({ROW}), '[]') FROM (SELECT {members} FROM json_array_elements({base}) "
                f"{element}) {ROW})"
            )
        else:
            inner = f"(SELECT to_json({ROW}) FROM (SELECT {self.document_members(value.members, base)}) {ROW})"
        expression = f"CASE WHEN {null_test} IS NOT NULL THEN {inner} END"
        return _required(expression, "json", is_required=value.is_required)

    def document_members(self, members: Iterable[tuple[str, DocumentMember]], base: str) -> str:
        return ", ".join(_named(self.document_member(member, base), key) for key, member in members)

    def document_member(self, member: DocumentMember, base: str) -> str:
        match member:
            case Constant():
                return quoted(member.text)
            case Document():
                name = quoted(member.name)
                return self.document(member, f"({base} -> {name})", f"({base} ->> {name})")
            case DocumentField():
                name = quoted(member.name)
                if not member.is_required:
                    return f"{base} -> {name}"
                return f"CASE WHEN {base} ->> {name} IS NULL THEN reading.absent(NULL::json) ELSE {base} -> {name} END"
        assert_never(member)

    def to_one(self, value: ToOne, scope: Scope) -> str:
        inner = self.sources.scope()
        columns, item = self.items(value.value, inner)
        rows = self.sources.rows(value.source, inner, scope, limit=1 if value.source.order else None)
        return f"(SELECT {_json(item)} FROM (SELECT {columns} {rows}) {ROW})"

    def rows(self, value: Rows, scope: Scope) -> str:
        inner = self.sources.scope()
        columns, item = self.items(value.value, inner)
        rows = self.sources.rows(value.source, inner, scope)
        return f"(SELECT coalesce(json_agg({item}), '[]') FROM (SELECT {columns} {rows}) {ROW})"

    def each(self, value: Each) -> str:
        given = self.sources.alias()
        cases = " ".join(
            f"WHEN {position} THEN {self.branch(branch, given)}" for position, branch in enumerate(value.branches)
        )
        item = f"CASE {given}.branch {cases} END" if cases else "NULL::json"
        arrays = ", ".join(self.sources.parameter(array) for array in (value.branches_chosen, *value.keys))
        names = ", ".join(("branch", *(f"key{number}" for number in range(len(value.keys))), "position"))
        rows = f"FROM unnest({arrays}) WITH ORDINALITY {given} ({names})"
        if value.is_list:
            return f"(SELECT coalesce(json_agg({item} ORDER BY {given}.position), '[]') {rows})"
        return f"(SELECT {item} {rows})"

    def branch(self, branch: Branch, given: str) -> str:
        inner = self.sources.scope()
        columns, item = self.items(branch.value, inner)
        keys = [
            f"{inner.column(part.column)} = {given}.key{number}::{part.type}" for number, part in enumerate(branch.key)
        ]
        rows = self.sources.rows(Source(branch.view), inner, inner, more=keys)
        return f"(SELECT {_json(item)} FROM (SELECT {columns} {rows}) {ROW})"

    def page(self, page: Page, scope: Scope) -> str:
        return _PageWriter(self, page, scope).text()


def _json(item: str) -> str:
    return f"to_json({item})" if item == ROW else item


@dataclass(slots=True)
class _PageWriter:
    """A connection in three layers: the rows of the page (p), what is made of them all (a), and the members by name."""

    writer: _Writer
    page: Page
    scope: Scope
    rows: Scope = field(init=False)
    # Lateral subqueries that make an object of a row, and the columns of layer a.
    laterals: list[str] = field(default_factory=list)
    aggregates: dict[str, str] = field(default_factory=dict)
    # Whether there is more is only known by looking one row further.
    reads_one_more: bool = field(init=False)
    # Whether any member is made of the page's rows: a count alone is not.
    is_read: bool = False
    needs_position: bool = field(init=False)

    def __post_init__(self) -> None:
        self.rows = self.writer.sources.scope()
        facts = [fact for _, part in self.page.members if isinstance(part, PageInfo) for _, fact in part.members]
        is_backward = self.page.span.is_backward
        self.reads_one_more = (PageFact.HAS_PREVIOUS_PAGE if is_backward else PageFact.HAS_NEXT_PAGE) in facts
        self.needs_position = is_backward or self.reads_one_more

    def text(self) -> str:
        columns = ", ".join(_named(self.member(member), key) for key, member in self.page.members)
        if not self.aggregates:
            return f"(SELECT to_json({ROW}) FROM (SELECT {columns}) {ROW})"
        layer = f"SELECT {', '.join(f'{expression} AS {name}' for expression, name in self.aggregates.items())}"
        if self.is_read:
            layer += f" FROM {self.source()}{''.join(self.laterals)}"
        return f"(SELECT to_json({ROW}) FROM (SELECT {columns} FROM ({layer}) a) {ROW})"

    def source(self) -> str:
        """The page's rows, with their position from where they were read: only the columns that are asked for."""
        span, sources = self.page.span, self.writer.sources
        inner = sources.scope()
        columns = [inner.column(name) for name in self.rows.columns] or ["1 AS one"]
        rows = sources.span(self.page.source, span, inner, self.scope, limit=span.size + self.reads_one_more)
        text = f"SELECT {', '.join(columns)} {rows}"
        if self.needs_position:
            text = f"SELECT r.*, row_number() OVER () AS {POSITION} FROM ({text}) r"
        return f"({text}) {self.rows.alias}"

    def aggregate(self, expression: str) -> str:
        """A column of layer a; the same expression is computed once."""
        return f"a.{self.aggregates.setdefault(expression, f'a{len(self.aggregates)}')}"

    def collected(self, function: str, argument: str) -> str:
        """An aggregate over the rows that the page shows, in the page's order."""
        self.is_read = True
        order = f" ORDER BY {self.rows.alias}.{POSITION} DESC" if self.page.span.is_backward else ""
        shown = ""
        if self.reads_one_more:
            shown = f" FILTER (WHERE {self.rows.alias}.{POSITION} <= {self.page.span.size})"
        return f"{function}({argument}{order}){shown}"

    def member(self, member: PageMember) -> str:
        match member:
            case Constant():
                return quoted(member.text)
            case Nodes():
                return self.aggregate(f"coalesce({self.collected('json_agg', self.node(member))}, '[]')")
            case Edges():
                return self.aggregate(f"coalesce({self.collected('json_agg', self.edge(member))}, '[]')")
            case PageInfo():
                facts = ", ".join(_named(self.fact(fact), key) for key, fact in member.members)
                return f"(SELECT to_json({ROW}) FROM (SELECT {facts}) {ROW})"
            case Count():
                return self.count(member)
        assert_never(member)

    def node(self, nodes: Nodes) -> str:
        """The argument of an aggregate that is a row's object."""
        if isinstance(nodes.value, Switch):
            return self.writer.row(nodes.value, self.rows)
        return self.lateral(self.writer.members(nodes.value, self.rows))

    def edge(self, edges: Edges) -> str:
        return self.lateral(", ".join(_named(self.edge_member(member), key) for key, member in edges.members))

    def edge_member(self, member: Nodes | Cursor | Constant) -> str:
        match member:
            case Constant():
                return quoted(member.text)
            case Cursor():
                return self.cursor([self.rows.column(part.column) for part in self.page.span.order.key])
            case Nodes():
                return self.writer.row(member.value, self.rows)
        assert_never(member)

    def lateral(self, columns: str) -> str:
        alias = self.writer.sources.row_alias()
        self.laterals.append(f" CROSS JOIN LATERAL (SELECT {columns}) {alias}")
        return alias

    def cursor(self, columns: Sequence[str]) -> str:
        return cursor_text(self.page.span.order, columns)

    def fact(self, fact: PageFact | Constant) -> str:
        span = self.page.span
        match fact:
            case Constant():
                return quoted(fact.text)
            case PageFact.HAS_NEXT_PAGE if not span.is_backward:
                return self.has_more()
            case PageFact.HAS_PREVIOUS_PAGE if span.is_backward:
                return self.has_more()
            case PageFact.HAS_NEXT_PAGE:
                return "true" if span.before else "false"
            case PageFact.HAS_PREVIOUS_PAGE:
                return "true" if span.after else "false"
            case PageFact.START_CURSOR | PageFact.END_CURSOR:
                return self.cursor([self.outermost(part.column, fact) for part in span.order.key])
        assert_never(fact)

    def has_more(self) -> str:
        self.is_read = True
        return f"{self.aggregate('count(*)')} > {self.page.span.size}"

    def outermost(self, column: str, fact: PageFact) -> str:
        """A key column of the first or of the last row that the page shows."""
        keys = self.aggregate(self.collected("array_agg", self.rows.column(column)))
        return f"({keys})[{'1' if fact is PageFact.START_CURSOR else f'cardinality({keys})'}]"

    def count(self, member: Count) -> str:
        counted = self.writer.sources.scope()
        rows = self.writer.sources.rows(
            Source(self.page.source.view, self.page.source.conditions), counted, self.scope, limit=COUNT_CAP + 1
        )
        number = self.aggregate(f"(SELECT count(*) FROM (SELECT 1 {rows}) t)")
        return f"least({number}, {COUNT_CAP})" if member is Count.NUMBER else f"{number} <= {COUNT_CAP}"
