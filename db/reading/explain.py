"""What becomes of a statement, for who looks into it: its plan, as it is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from db.connection import Connection, Pool


async def plan_of(pool: Pool, text: str, workspace_id: UUID, values: Sequence[object]) -> Any:
    """What Postgres planned and measured while it ran the statement once more, as its EXPLAIN writes it in JSON.

    EXPLAIN of a text with parameters is planned for their values. A prepared statement has the plan that the session
    makes of it for all values, and takes none from outside: they become literals.
    """
    async with pool.acquire() as connection, connection.transaction():
        prepared = await connection.prepare(text)
        command = await _command(connection, prepared, [workspace_id, *values])
        return await connection.fetchval(command)


async def _command(connection: Connection, prepared: PreparedStatement, values: Sequence[object]) -> str:
    types = [f"{type.schema}.{type.name}" for type in prepared.get_parameters()]
    literals = ", ".join("%L" for _ in types)
    operands = ", ".join(f"${position}::{type}" for position, type in enumerate(types, 1))
    template = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {prepared.get_name()}({literals})"
    text: str = await connection.fetchval(f"SELECT format('{template}', {operands})", *values)
    return text
