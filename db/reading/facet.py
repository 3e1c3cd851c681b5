"""Facets: how many rows of a source have each value of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from db.reading.json_text import Pieces, Sql, constant, joined, json_array, json_object
from db.reading.source import Scope, SourceWriter
from db.reading.tree import Column, ColumnKind, Constant, Counts, Source, Tally, TallyPart, Total

if TYPE_CHECKING:
    from db.reading.statement import Writer

VALUE, NUMBER = "value", "number"


def counts_pieces(writer: Writer, counts: Counts, scope: Scope) -> Pieces:
    """All counts of one look at the rows: of how many there are of each combination of what is asked for."""
    columns = dict.fromkeys(member.column for _, member in counts.members if isinstance(member, Tally))
    combined = writer.sources.alias()
    rows = combinations(writer.sources, counts.source, list(columns), scope)
    members = json_object((key, _member(writer, member, combined)) for key, member in counts.members)
    return [Sql(f"(WITH {combined} AS MATERIALIZED ({rows}) SELECT {joined(members)})")]


def combinations(sources: SourceWriter, source: Source, columns: Sequence[str], scope: Scope) -> str:
    """A SELECT of what there is of these columns together, each with its number of rows."""
    rows = sources.scope()
    names = [rows.column(name) for name in columns]
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    return f"SELECT {', '.join([*names, f'count(*) AS {NUMBER}'])} {sources.rows(source, rows, scope)}{grouped}"


def values_of(sources: SourceWriter, tally: Tally, combined: str) -> str:
    """A SELECT of the column's values, those that most rows have first, each with its number of rows."""
    value = f"unnest({tally.column})" if tally.is_array else tally.column
    text = (
        f"SELECT {VALUE}, sum({NUMBER})::bigint AS {NUMBER}"
        f' FROM (SELECT {value} COLLATE "C" AS {VALUE}, {NUMBER} FROM {combined}) {sources.alias()}'
        f" WHERE {VALUE} IS NOT NULL GROUP BY {VALUE} ORDER BY {NUMBER} DESC, {VALUE}"
    )
    return text if tally.limit is None else f"{text} LIMIT {tally.limit}"


def _member(writer: Writer, member: Total | Tally | Constant, combined: str) -> Pieces:
    match member:
        case Constant():
            return constant(member)
        case Total():
            return [Sql(f"(SELECT coalesce(sum({NUMBER}), 0) FROM {combined})::text")]
        case Tally():
            counted = writer.sources.scope()
            item = joined(json_object((key, _part(writer, part, member, counted)) for key, part in member.members))
            values = values_of(writer.sources, member, combined)
            return json_array(f"(SELECT string_agg({item}, ',') FROM ({values}) {counted.alias})")
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
