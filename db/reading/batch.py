"""What graphql-core's resolvers read: rows for many parents at once, a statement for each field of an operation."""

from __future__ import annotations

from dataclasses import dataclass

from db.reading.facet import combinations, values_of
from db.reading.page import COUNT_CAP
from db.reading.source import Scope, SourceWriter, cursor_text
from db.reading.tree import Parameter, ParentColumn, Source, Span, Tally

# What a batch's source calls the key that its rows are read for.
PARENT = ParentColumn("parent")
CURSOR = "reading_cursor"


@dataclass(frozen=True, slots=True)
class Batch:
    """`$1` is the workspace, `$2` a uuid[] of the parents' keys; then come the values of `parameters`.

    Each row has the key that it was read for as `parent`. What has no parent is read for the key NULL.
    """

    text: str
    parameters: tuple[Parameter, ...]


def rows_of_parents(source: Source, *, limit: int | None = None) -> Batch:
    """All rows of each parent in the source's order, or the first ones."""
    writer = _writer()
    return _batch(writer, "r.*", writer.rows(source, Scope("r"), Scope("p"), limit=limit))


def page_of_parents(source: Source, span: Span) -> Batch:
    """A stretch of each parent's rows as it is read, one row longer than the page, with each row's cursor."""
    writer = _writer()
    cursor = cursor_text(span.order, [f"r.{part.column}" for part in span.order.key])
    rows = writer.span(source, span, Scope("r"), Scope("p"), limit=span.size + 1)
    return _batch(writer, f"r.*, {cursor} AS {CURSOR}", rows)


def counts_of_parents(source: Source) -> Batch:
    """How many rows each parent has, as `number`, counted to one more than the cap."""
    writer = _writer()
    rows = writer.rows(Source(source.view, source.conditions), Scope("r"), Scope("p"), limit=COUNT_CAP + 1)
    return _batch(writer, "count(*) AS number", f"FROM (SELECT 1 {rows}) r")


def total(source: Source) -> Batch:
    """How many rows a source has, as `number`."""
    writer = _writer()
    return _batch(writer, "c.number", f"FROM ({combinations(writer, source, (), Scope('p'))}) c")


def tally_of(source: Source, tally: Tally) -> Batch:
    """Each `value` of a column with the `number` of rows that have it."""
    writer = _writer()
    combined = f"({combinations(writer, source, [tally.column], Scope('p'))}) {writer.alias()}"
    return _batch(writer, "c.value, c.number", f"FROM ({values_of(writer, tally, combined)}) c")


def _writer() -> SourceWriter:
    return SourceWriter([Parameter("uuid[]")])


def _batch(writer: SourceWriter, columns: str, rows: str) -> Batch:
    text = f"SELECT p.parent, b.* FROM unnest($2::uuid[]) p(parent) CROSS JOIN LATERAL (SELECT {columns} {rows}) b"
    return Batch(text, tuple(writer.parameters[1:]))
