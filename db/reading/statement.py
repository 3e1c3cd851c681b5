"""The tree of what is to be read, as one SQL statement whose result is the JSON text of the answer.

The text is put together by the expressions themselves: to_json of rows takes Postgres about half as long again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from db.reading.facet import counts_pieces
from db.reading.json_text import (
    ABSENT,
    Piece,
    Pieces,
    Sql,
    constant,
    joined,
    json_array,
    json_object,
    nullable,
    or_null,
)
from db.reading.page import page_pieces
from db.reading.source import WORKSPACE, Scope, SourceWriter, quoted
from db.reading.tree import (
    Branch,
    Column,
    ColumnKind,
    Constant,
    Counts,
    Document,
    DocumentField,
    DocumentMember,
    Each,
    Object,
    Page,
    Parameter,
    Rows,
    Source,
    Switch,
    ToOne,
    Value,
)

Row: TypeAlias = Object | Switch


@dataclass(frozen=True, slots=True)
class Statement:
    """`$1` is the workspace; then come the values of `parameters`, in their order. The result is one text."""

    text: str
    parameters: tuple[Parameter, ...]


def statement(members: Sequence[tuple[str, Value]]) -> Statement:
    """An object with these members, each read independently of the others."""
    writer = Writer(SourceWriter())
    nowhere = Scope("")
    text = f"SELECT {joined(json_object((key, writer.value(value, nowhere)) for key, value in members))}"
    if WORKSPACE not in text:
        # Nothing is read but what the schema itself knows; Postgres insists on each parameter being used.
        text = f"{text} WHERE {WORKSPACE} IS NOT NULL"
    return Statement(text, tuple(writer.sources.parameters))


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes values as pieces of JSON text. A scope is the row that a value is read from."""

    sources: SourceWriter

    def value(self, value: Value, scope: Scope) -> Pieces:
        match value:
            case Constant():
                return constant(value)
            case Column():
                return column(value, scope)
            case Object() | Switch():
                return self.row(value, scope)
            case Document():
                return self.document(value, scope.column(value.name), scope.column(value.name))
            case ToOne():
                return [self.to_one(value, scope)]
            case Rows():
                return self.rows(value, scope)
            case Page():
                return page_pieces(self, value, scope)
            case Each():
                return self.each(value)
            case Counts():
                return counts_pieces(self, value, scope)
        assert_never(value)

    def row(self, value: Row, scope: Scope) -> Pieces:
        match value:
            case Object():
                pieces = json_object((key, self.value(member, scope)) for key, member in value.members)
                if value.present is None:
                    return pieces
                instead = ABSENT if value.is_required else "'null'"
                present = scope.column(value.present)
                return [Sql(f"CASE WHEN {present} IS NOT NULL THEN {joined(pieces)} ELSE {instead} END")]
            case Switch():
                cases = [f"WHEN {quoted(name)} THEN {joined(self.row(case, scope))}" for name, case in value.cases]
                instead = ABSENT if value.is_required else "'null'"
                return [Sql(f"CASE {scope.column(value.column)} {' '.join(cases)} ELSE {instead} END")]
        assert_never(value)

    def document(self, value: Document, base: str, null_test: str) -> Pieces:
        if value.is_list:
            element = self.sources.alias()
            item = joined(self.document_members(value.members, f"{element}.value"))
            items = f"(SELECT string_agg({item}, ',') FROM json_array_elements({base}) {element})"
            pieces: Pieces = json_array(items)
        else:
            pieces = self.document_members(value.members, base)
        instead = ABSENT if value.is_required else "'null'"
        return [Sql(f"CASE WHEN {null_test} IS NOT NULL THEN {joined(pieces)} ELSE {instead} END")]

    def document_members(self, members: Iterable[tuple[str, DocumentMember]], base: str) -> list[Piece]:
        return json_object((key, self.document_member(member, base)) for key, member in members)

    def document_member(self, member: DocumentMember, base: str) -> Pieces:
        match member:
            case Constant():
                return constant(member)
            case Document():
                name = quoted(member.name)
                return self.document(member, f"({base} -> {name})", f"({base} ->> {name})")
            case DocumentField():
                name = quoted(member.name)
                if not member.is_required:
                    return [or_null(f"({base} -> {name})::text")]
                return [Sql(f"CASE WHEN {base} ->> {name} IS NULL THEN {ABSENT} ELSE ({base} -> {name})::text END")]
        assert_never(member)

    def to_one(self, value: ToOne, scope: Scope) -> Sql:
        inner = self.sources.scope()
        row = joined(self.row(value.value, inner))
        rows = self.sources.rows(value.source, inner, scope, limit=1 if value.source.order else None)
        return nullable(f"(SELECT {row} {rows})", is_required=value.is_required)

    def rows(self, value: Rows, scope: Scope) -> Pieces:
        inner, outer = self.sources.scope(), self.sources.scope()
        row = joined(self.row(value.value, outer))
        rows = self.sources.rows(value.source, inner, scope)
        source = f"(SELECT {', '.join(inner.column(name) for name in outer.columns) or '1'} {rows}) {outer.alias}"
        return json_array(f"(SELECT string_agg({row}, ',') FROM {source})")

    def each(self, value: Each) -> Pieces:
        given = self.sources.alias()
        cases = " ".join(
            f"WHEN {position} THEN {self.branch(branch, given)}" for position, branch in enumerate(value.branches)
        )
        item = f"coalesce(CASE {given}.branch {cases} END, 'null')" if cases else "'null'::text"
        arrays = ", ".join(self.sources.parameter(array) for array in (value.branches_chosen, *value.keys))
        names = ", ".join(("branch", *(f"key{number}" for number in range(len(value.keys))), "position"))
        rows = f"FROM unnest({arrays}) WITH ORDINALITY {given} ({names})"
        if value.is_list:
            return json_array(f"(SELECT string_agg({item}, ',' ORDER BY {given}.position) {rows})")
        return [Sql(f"(SELECT {item} {rows})")]

    def branch(self, branch: Branch, given: str) -> str:
        inner = self.sources.scope()
        row = joined(self.row(branch.value, inner))
        keys = [
            f"{inner.column(part.column)} = {given}.key{number}::{part.type}" for number, part in enumerate(branch.key)
        ]
        return f"(SELECT {row} {self.sources.rows(Source(branch.view), inner, inner, more=keys)})"


def column(value: Column, scope: Scope) -> Pieces:
    name = scope.column(value.name)
    match value.kind:
        case ColumnKind.TEXT | ColumnKind.JSON:
            text = f"to_json({name})::text"
        case ColumnKind.NUMBER:
            text = f"{name}::text"
        case ColumnKind.NAME:
            text = f"'\"' || {name} || '\"'"
        case ColumnKind.MOMENT:
            # A timestamp without time zone is ISO 8601 but for the T and the Z.
            text = f"'\"' || replace(({name} AT TIME ZONE 'UTC')::text, ' ', 'T') || 'Z\"'"
        case ColumnKind.IDENTIFIER:
            text = f"'\"{value.prefix}_' || encode(uuid_send({name}), 'hex') || '\"'"
        case _:
            assert_never(value.kind)
    return [nullable(text, is_required=value.is_required)]
