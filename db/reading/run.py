"""Statements of the reader, run: what they answer, and what can become of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
from asyncpg import Record

from db.failure import READ_TIMEOUTS
from db.reading.batch import Batch
from db.reading.explain import plan_of
from db.reading.statement import Statement
from db.reading_pool import ReadingPool

# What reading.absent in db/migrations raises.
ABSENT = "MY001"


class AbsentValue(Exception):
    """A value is null where the schema promises that it never is."""


class ReadingTimeout(Exception):
    """The statement, or the wait for a connection to run it on, took longer than it may."""


async def fetch(pool: ReadingPool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> str:
    """The JSON text. Raises AbsentValue and ReadingTimeout."""
    try:
        return await pool.read_text(statement.text, workspace_id, *values)
    except (*READ_TIMEOUTS, asyncpg.PostgresError) as error:
        _tell(error)


async def fetch_batch(
    pool: ReadingPool, batch: Batch, workspace_id: UUID, parents: Sequence[UUID | None], values: Sequence[object]
) -> list[Record]:
    """The rows of all parents. Raises ReadingTimeout."""
    with _told():
        async with pool.reading() as connection:
            return await connection.fetch(batch.text, workspace_id, parents, *values)


async def explain(pool: ReadingPool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> Any:
    """The plan by which the statement is run, with what was measured. Raises ReadingTimeout."""
    with _told():
        return await plan_of(pool, statement, workspace_id, values)


async def missing(pool: ReadingPool, statements: Iterable[tuple[str, Statement]]) -> list[str]:
    """What the database says of each statement that it cannot prepare, behind the statement's name."""
    told = []
    async with pool.reading() as connection:
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
    except (*READ_TIMEOUTS, asyncpg.PostgresError) as error:
        _tell(error)


def _tell(error: Exception) -> NoReturn:
    if isinstance(error, READ_TIMEOUTS):
        raise ReadingTimeout from error
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == ABSENT:
        raise AbsentValue from error
    raise error
