"""Statements of the reader, run: what they answer, and what can become of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import asyncpg
from asyncpg import Record

from db.failure import LOST_CONNECTIONS, READ_TIMEOUTS
from db.reading.batch import Batch
from db.reading.explain import plan_of
from db.reading.statement import Statement
from db.reading_pool import NoConnectionInTime, ReadingPool

# What reading.absent in db/migrations raises.
ABSENT = "MY001"
TROUBLE = (*READ_TIMEOUTS, *LOST_CONNECTIONS, asyncpg.PostgresError)
Answer = TypeVar("Answer")


class AbsentValue(Exception):
    """A value is null where the schema promises that it never is."""


class ReadingTimeout(Exception):
    """The statement took longer than it may."""


class ReadingOverload(Exception):
    """Others have all connections, and none of them was done in time: nothing was read."""


class DatabaseAway(Exception):
    """The database cannot be reached at this moment."""


async def fetch(pool: ReadingPool, statement: Statement, workspace_id: UUID, values: Sequence[object]) -> str:
    """The JSON text. Raises AbsentValue, ReadingTimeout, ReadingOverload and DatabaseAway."""
    return await _read(pool, lambda: pool.read_text(statement.text, workspace_id, *values))


async def fetch_batch(
    pool: ReadingPool, batch: Batch, workspace_id: UUID, parents: Sequence[UUID | None], values: Sequence[object]
) -> list[Record]:
    """The rows of all parents. Raises ReadingTimeout, ReadingOverload and DatabaseAway."""

    async def fetch_rows() -> list[Record]:
        async with pool.reading() as connection:
            return await connection.fetch(batch.text, workspace_id, parents, *values)

    return await _read(pool, fetch_rows)


async def _read(pool: ReadingPool, read: Callable[[], Awaitable[Answer]]) -> Answer:
    """A session that ended while it rested is noticed by who uses it next, and there may be several of them.

    To read twice changes nothing.
    """
    for is_last in (*(False,) * pool.get_max_size(), True):
        try:
            return await read()
        except TROUBLE as error:
            if is_last or isinstance(error, READ_TIMEOUTS) or not isinstance(error, LOST_CONNECTIONS):
                _tell(error)
    raise AssertionError("the last try answers or raises")


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
    except TROUBLE as error:
        _tell(error)


def _tell(error: Exception) -> NoReturn:
    if isinstance(error, NoConnectionInTime):
        raise ReadingOverload(str(error)) from error
    if isinstance(error, READ_TIMEOUTS):
        raise ReadingTimeout from error
    if isinstance(error, LOST_CONNECTIONS):
        raise DatabaseAway(f"{type(error).__name__}: {error}") from error
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == ABSENT:
        raise AbsentValue from error
    raise error
