"""A statement for who looks into it: its text in lines, and the plan that it is run by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from db.connection import Connection
from db.reading.statement import Statement
from db.reading_pool import ReadingPool

INDENT = "    "
# A literal, a parenthesis, a clause of a SELECT, or what comes before the next member of a JSON object.
TOKEN = re.compile(
    r"""(?P<literal>'(?:[^']|'')*')
    |(?P<select>\(SELECT\b)
    |(?P<open>\()
    |(?P<close>\))
    |[ ](?P<clause>(?:FROM|WHERE|ORDER[ ]BY|LIMIT)\b)
    |[ ](?P<member>\|\|[ ])(?='[}\]]*[,{]")""",
    re.VERBOSE,
)


def in_lines(text: str) -> str:
    """The same statement with a line for each clause and for each member of the answer's objects."""
    # For each parenthesis that is open: whether a SELECT is in it.
    inside: list[bool] = []

    def line(part: str, *, deeper: int = 0) -> str:
        return f"\n{INDENT * (sum(inside) + deeper)}{part}"

    def broken(found: re.Match[str]) -> str:
        kind = found.lastgroup
        if kind in ("select", "open"):
            inside.append(kind == "select")
            return f"({line('SELECT')}" if kind == "select" else "("
        if kind == "close":
            return line(")") if inside.pop() else ")"
        if kind == "clause" and (not inside or inside[-1]):
            return line(found["clause"])
        return line(found["member"], deeper=1) if kind == "member" else found[0]

    return TOKEN.sub(broken, text)


async def plan_of(pool: ReadingPool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> Any:
    """What Postgres planned and measured while it ran the statement once more, as its EXPLAIN writes it in JSON.

    EXPLAIN of a text with parameters is planned for their values. Only a prepared statement has the plan that the
    session makes for all values; EXPLAIN hands it none, so that they become literals.
    """
    async with pool.reading() as connection, connection.transaction():
        prepared = await connection.prepare(statement.text)
        types = [f"{kind.schema}.{kind.name}" for kind in prepared.get_parameters()]
        plan = await connection.fetchval(
            await _command(connection, prepared.get_name(), types, [workspace_id, *values])
        )
    return orjson.loads(plan) if isinstance(plan, str) else plan


async def _command(connection: Connection, name: str, types: Sequence[str], values: Sequence[object]) -> str:
    literals = ", ".join("%L" for _ in types)
    operands = ", ".join(f"${position}::{kind}" for position, kind in enumerate(types, 1))
    template = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({literals})"
    text: str = await connection.fetchval(f"SELECT format('{template}', {operands})", *values)
    return text
