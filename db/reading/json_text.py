"""SQL expressions for JSON text, put together of literals and of expressions that are never null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from db.reading.source import quoted
from db.reading.tree import Constant


@dataclass(frozen=True, slots=True)
class Sql:
    """An expression of type text."""

    expression: str


# Raises in place of a null: see the migrations.
ABSENT = "reading.absent()"
# A str is a literal piece of the text.
Piece: TypeAlias = str | Sql
Pieces: TypeAlias = Sequence[Piece]


def joined(pieces: Pieces) -> str:
    """One expression for all pieces; literals that stand side by side are one."""
    return " || ".join(quoted(piece) if isinstance(piece, str) else piece.expression for piece in _merged(pieces))


def _merged(pieces: Pieces) -> Iterator[Piece]:
    literal = ""
    for piece in pieces:
        if isinstance(piece, str):
            literal += piece
            continue
        if literal:
            yield literal
        literal = ""
        yield piece
    if literal:
        yield literal


def constant(value: Constant) -> list[Piece]:
    """A type's name, or another text with nothing to escape."""
    return [f'"{value.text}"']


def json_object(members: Iterable[tuple[str, Pieces]]) -> list[Piece]:
    pieces: list[Piece] = []
    for position, (key, value) in enumerate(members):
        pieces += [f'{"," if position else "{"}"{key}":', *value]
    return [*(pieces or ["{"]), "}"]


def json_array(items: str) -> list[Piece]:
    """Of an expression for the items' text with commas between them, null where there is none."""
    return ["[", Sql(f"coalesce({items}, '')"), "]"]


def or_null(expression: str) -> Sql:
    return Sql(f"coalesce({expression}, 'null')")


def or_absent(expression: str) -> Sql:
    """The error of reading.absent in place of a null."""
    return Sql(f"coalesce({expression}, {ABSENT})")


def nullable(expression: str, *, is_required: bool) -> Sql:
    return or_absent(expression) if is_required else or_null(expression)
