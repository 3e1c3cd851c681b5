"""Statements of the reader, run: what they answer, and what can become of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from asyncpg import Record

from db.connection import Pool
from db.failure import READ_TIMEOUTS
from db.pool import ReadingPool
from db.reading.batch import Batch
from db.reading.statement import Statement

# What reading.absent in db/migrations raises.
ABSENT = "MY001"


class AbsentValue(Exception):
    """A value is null where the schema promises that it never is."""


class ReadingTimeout(Exception):
    """The statement, or the wait for a connection to run it on, took longer than it may."""


async def fetch(pool: ReadingPool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> str:
    """The JSON text. Raises AbsentValue and ReadingTimeout."""
    with _told():
        return await pool.read_text(statement.text, workspace_id, *values)


async def fetch_batch(
    pool: Pool, batch: Batch, workspace_id: UUID, parents: Sequence[UUID | None], values: Sequence[object]
) -> list[Record]:
    """The rows of all parents. Raises ReadingTimeout."""
    with _told():
        return await pool.fetch(batch.text, workspace_id, parents, *values)


async def explain(pool: Pool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> Any:
    """What Postgres planned and measured while it ran the statement once more, as its EXPLAIN writes it in JSON."""
    with _told():
        plan = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}", workspace_id, *values)
    return orjson.loads(plan) if isinstance(plan, str) else plan


async def missing(pool: Pool, statements: Iterable[tuple[str, Statement]]) -> list[str]:
    """What the database says of each statement that it cannot prepare, behind the statement's name."""
    told = []
    async with pool.acquire() as connection:
        for name, statement in statements:
            try:
                await connection.prepare(statement.text)
            except asyncpg.SyntaxOrAccessError as error:
                told.append(f"{name}: {error}")
    return told


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except READ_TIMEOUTS as error:
        raise ReadingTimeout from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == ABSENT:
            raise AbsentValue from error
        raise
