"""Connections: one stretch of an ordered source, of which nodes, edges, cursors and counts are made in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from db.reading.json_text import Pieces, Sql, constant, joined, json_array, json_object, or_null
from db.reading.source import Scope, cursor_text
from db.reading.tree import Constant, Count, Cursor, Edges, Nodes, Page, PageFact, PageInfo, PageMember, Source

if TYPE_CHECKING:
    from db.reading.statement import Writer

COUNT_CAP = 10_000
POSITION = "reading_position"


def page_pieces(writer: Writer, page: Page, scope: Scope) -> Pieces:
    return _PageWriter(writer, page, scope).pieces()


@dataclass(slots=True)
class _PageWriter:
    """Three layers: the rows of the page, what is put together of them all (a), and the members' text."""

    writer: Writer
    page: Page
    scope: Scope
    rows: Scope = field(init=False)
    aggregates: dict[str, str] = field(default_factory=dict)
    # Whether there is more is only known by looking one row further.
    reads_one_more: bool = field(init=False)
    # Whether any member is made of the page's rows: a count alone is not.
    is_read: bool = False
    counted: str | None = None

    def __post_init__(self) -> None:
        self.rows = self.writer.sources.scope()
        facts = [fact for _, part in self.page.members if isinstance(part, PageInfo) for _, fact in part.members]
        self.reads_one_more = (
            PageFact.HAS_PREVIOUS_PAGE if self.page.span.is_backward else PageFact.HAS_NEXT_PAGE
        ) in facts

    def pieces(self) -> Pieces:
        pieces = json_object([(key, self.member(member)) for key, member in self.page.members])
        if not self.aggregates:
            return pieces
        columns = ", ".join(f"{expression} AS {name}" for expression, name in self.aggregates.items())
        source = f" FROM {self.source()}" if self.is_read else ""
        return [Sql(f"(SELECT {joined(pieces)} FROM (SELECT {columns}{source}) a)")]

    def source(self) -> str:
        """The page's rows, with their position from where they were read: only the columns that are asked for."""
        span, sources = self.page.span, self.writer.sources
        inner = sources.scope()
        columns = [inner.column(name) for name in self.rows.columns] or ["1"]
        rows = sources.span(self.page.source, span, inner, self.scope, limit=span.size + self.reads_one_more)
        text = f"SELECT {', '.join(columns)} {rows}"
        if self.reads_one_more or span.is_backward:
            text = f"SELECT r.*, row_number() OVER () AS {POSITION} FROM ({text}) r"
        return f"({text}) {self.rows.alias}"

    def aggregate(self, expression: str) -> str:
        """A column of layer a; the same expression is computed once."""
        return f"a.{self.aggregates.setdefault(expression, f'a{len(self.aggregates)}')}"

    def collected(self, function: str, arguments: str) -> str:
        """An aggregate over the rows that the page shows, in the page's order."""
        self.is_read = True
        order = f" ORDER BY {self.rows.alias}.{POSITION} DESC" if self.page.span.is_backward else ""
        shown = ""
        if self.reads_one_more:
            shown = f" FILTER (WHERE {self.rows.alias}.{POSITION} <= {self.page.span.size})"
        return self.aggregate(f"{function}({arguments}{order}){shown}")

    def member(self, member: PageMember) -> Pieces:
        match member:
            case Constant():
                return constant(member)
            case Nodes():
                return self.listed(self.writer.row(member.value, self.rows))
            case Edges():
                return self.listed(json_object((key, self.edge_member(part)) for key, part in member.members))
            case PageInfo():
                return json_object((key, self.fact(fact)) for key, fact in member.members)
            case Count():
                return [self.count(member)]
        assert_never(member)

    def listed(self, item: Pieces) -> Pieces:
        return json_array(self.collected("string_agg", f"{joined(item)}, ','"))

    def edge_member(self, member: Nodes | Cursor | Constant) -> Pieces:
        match member:
            case Constant():
                return constant(member)
            case Cursor():
                return self.cursor([self.rows.column(part.column) for part in self.page.span.order.key])
            case Nodes():
                return self.writer.row(member.value, self.rows)
        assert_never(member)

    def cursor(self, columns: Sequence[str]) -> Pieces:
        """A page without rows has no cursor."""
        return [or_null(f"'\"' || {cursor_text(self.page.span.order, columns)} || '\"'")]

    def fact(self, fact: PageFact | Constant) -> Pieces:
        span = self.page.span
        match fact:
            case Constant():
                return constant(fact)
            case PageFact.HAS_NEXT_PAGE:
                return ["true" if span.before else "false"] if span.is_backward else [self.has_more()]
            case PageFact.HAS_PREVIOUS_PAGE:
                return [self.has_more()] if span.is_backward else ["true" if span.after else "false"]
            case PageFact.START_CURSOR | PageFact.END_CURSOR:
                return self.cursor([self.outermost(part.column, fact) for part in span.order.key])
        assert_never(fact)

    def has_more(self) -> Sql:
        self.is_read = True
        return Sql(f"({self.aggregate('count(*)')} > {self.page.span.size})::text")

    def outermost(self, column: str, fact: PageFact) -> str:
        """A key column of the first or of the last row that the page shows."""
        keys = self.collected("array_agg", self.rows.column(column))
        return f"({keys})[{'1' if fact is PageFact.START_CURSOR else f'cardinality({keys})'}]"

    def count(self, member: Count) -> Sql:
        if self.counted is None:
            rows, source = self.writer.sources.scope(), self.page.source
            unordered = Source(source.view, source.conditions)
            text = self.writer.sources.rows(unordered, rows, self.scope, limit=COUNT_CAP + 1)
            self.counted = self.aggregate(f"(SELECT count(*) FROM (SELECT 1 {text}) t)")
        if member is Count.NUMBER:
            return Sql(f"least({self.counted}, {COUNT_CAP})::text")
        return Sql(f"({self.counted} <= {COUNT_CAP})::text")
