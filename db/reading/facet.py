"""Facets: how many rows of a source have each value of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from db.reading.json_text import Pieces, Sql, constant, joined, json_array, json_object
from db.reading.source import Scope, SourceWriter
from db.reading.tree import Column, ColumnKind, Constant, Counts, Source, Tally, TallyPart, Total

if TYPE_CHECKING:
    from db.reading.statement import Writer

VALUE, NUMBER = "value", "number"


def counts_pieces(writer: Writer, counts: Counts, scope: Scope) -> Pieces:
    return json_object((key, _member(writer, counts.source, member, scope)) for key, member in counts.members)


def tally_rows(sources: SourceWriter, source: Source, tally: Tally, scope: Scope) -> str:
    """A SELECT of the column's values, those that most rows have first, each with its number of rows."""
    rows = sources.scope()
    column = rows.column(tally.column)
    value = f"unnest({column})" if tally.is_array else column
    inner = f'SELECT {value} COLLATE "C" AS {VALUE} {sources.rows(source, rows, scope)}'
    text = (
        f"SELECT {VALUE}, count(*) AS {NUMBER} FROM ({inner}) {sources.alias()}"
        f" WHERE {VALUE} IS NOT NULL GROUP BY {VALUE} ORDER BY {NUMBER} DESC, {VALUE}"
    )
    return text if tally.limit is None else f"{text} LIMIT {tally.limit}"


def total_of(sources: SourceWriter, source: Source, scope: Scope) -> str:
    return f"SELECT count(*) AS {NUMBER} {sources.rows(source, sources.scope(), scope)}"


def _member(writer: Writer, source: Source, member: Total | Tally | Constant, scope: Scope) -> Pieces:
    match member:
        case Constant():
            return constant(member)
        case Total():
            return [Sql(f"({total_of(writer.sources, source, scope)})::text")]
        case Tally():
            counted = writer.sources.scope()
            item = joined(json_object((key, _part(writer, part, member, counted)) for key, part in member.members))
            rows = tally_rows(writer.sources, source, member, scope)
            return json_array(f"(SELECT string_agg({item}, ',') FROM ({rows}) {counted.alias})")
    assert_never(member)


def _part(writer: Writer, part: TallyPart | Constant, tally: Tally, counted: Scope) -> Pieces:
    match part:
        case Constant():
            return constant(part)
        case TallyPart.VALUE:
            return writer.value(Column(VALUE, tally.kind, is_required=True), counted)
        case TallyPart.COUNT:
            return writer.value(Column(NUMBER, ColumnKind.NUMBER, is_required=True), counted)
    assert_never(part)
