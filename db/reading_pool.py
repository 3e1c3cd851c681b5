"""The pool for reading: short statements, many at once, in sessions that nothing is left behind in."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg import Record
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

from db.connection import Connection
from db.pool import CONNECT_TIMEOUT_SECONDS, prepare_connection, unavailable_told

ACQUIRE_TIMEOUT_SECONDS = 10.0
# How much later than the server we stop a statement of the reading pool: its own word is the clearer one.
GRACE_SECONDS = 1.0
# A prepared statement keeps some hundred times its text in the memory of a session: longer ones are planned each time.
LARGEST_PREPARED_CHARACTERS = 32_768
MOST_PREPARED = 128
# A new session has to prepare everything again.
MOST_STATEMENTS_OF_A_SESSION = 1_000_000
IDLE_SECONDS = 300.0


class NoConnectionInTime(TimeoutError):
    """Others have all connections, and none of them was done in time."""


class ReadingPool(asyncpg.Pool):
    """Nobody waits without an end for one of its connections: TimeoutError. `read_text` and `reading` are for readers.

    A connection that has answered is handed to whoever waits for one, or kept: to give it back to asyncpg's pool and to
    take it again costs as much as a short statement does.
    """

    acquire_timeout_seconds = ACQUIRE_TIMEOUT_SECONDS

    def __init__(self, *parts: Any, **settings: Any) -> None:
        super().__init__(*parts, **settings)
        # Each with the time from which it rests; the one that has rested least is taken first.
        self._resting: list[tuple[PoolConnectionProxy[Record], float]] = []
        self._ends = False
        self._waiting: deque[asyncio.Future[PoolConnectionProxy[Record] | None]] = deque()
        self._taken = 0

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        # A limit costs 40 µs, a fifth of a short fetch, and is for nothing while a connection is there to be taken.
        if timeout is None and not self.get_idle_size():
            timeout = self.acquire_timeout_seconds
        return super().acquire(timeout=timeout)

    async def read_text(self, text: str, *values: object) -> str:
        """The one value of a statement."""
        connection = await self._take()
        try:
            value: str = await connection.fetchval(text, *values)
        except BaseException:
            await self._give_up(connection)
            raise
        await self._put(connection)
        return value

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for several statements."""
        connection = await self._take()
        try:
            yield connection
        except BaseException:
            await self._give_up(connection)
            raise
        await self._put(connection)

    async def give_back(self) -> None:
        """Give the connections that rest back to asyncpg's pool, for whoever wants all of them."""
        while self._resting:
            await self._give_up(self._resting.pop()[0])

    async def close(self) -> None:
        self._ends = True
        await self.give_back()
        await super().close()

    def terminate(self) -> None:
        self._resting.clear()
        super().terminate()

    async def _take(self) -> PoolConnectionProxy[Record]:
        while True:
            if self._resting:
                connection, since = self._resting.pop()
                if not _is_lost(connection) and time.monotonic() - since < IDLE_SECONDS:
                    return connection
                await self._give_up(connection)
            elif self._taken < self.get_max_size():
                return await self._opened()
            elif (handed := await self._handed()) is not None:
                return handed

    async def _opened(self) -> PoolConnectionProxy[Record]:
        self._taken += 1
        try:
            return await self.acquire()
        except BaseException:
            self._taken -= 1
            self._wake_one()
            raise

    async def _handed(self) -> PoolConnectionProxy[Record] | None:
        """What somebody else has done with; None where it is worth another look whether there is a place."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[PoolConnectionProxy[Record] | None] = loop.create_future()
        self._waiting.append(waiter)
        timer = loop.call_later(self.acquire_timeout_seconds, _time_out, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                await self._pass_on(waiter.result())
            raise
        finally:
            timer.cancel()

    async def _put(self, connection: PoolConnectionProxy[Record]) -> None:
        if self._ends or _is_lost(connection):
            await self._give_up(connection)
        elif not self._wake_one(connection):
            self._resting.append((connection, time.monotonic()))

    async def _give_up(self, connection: PoolConnectionProxy[Record]) -> None:
        """asyncpg's pool knows what to do with a session in which a statement was broken off."""
        self._taken -= 1
        try:
            await self.release(connection)
        finally:
            self._wake_one()

    async def _pass_on(self, connection: PoolConnectionProxy[Record] | None) -> None:
        if connection is None:
            self._wake_one()
        else:
            await self._put(connection)

    def _wake_one(self, connection: PoolConnectionProxy[Record] | None = None) -> bool:
        """Hand a connection, or the news that there is a place for one, to whoever has waited longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False


def _is_lost(connection: PoolConnectionProxy[Record]) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # asyncpg's pool took it back when the server ended the session.
        return True


def _time_out(waiter: asyncio.Future[PoolConnectionProxy[Record] | None]) -> None:
    if not waiter.done():
        waiter.set_exception(NoConnectionInTime("All connections for reading are in use."))


async def create_reading_pool(
    dsn: str,
    *,
    size: int,
    statement_cache_size: int = 1024,
    statement_timeout_seconds: float = 30.0,
    application_name: str = "modelyard reading",
) -> ReadingPool:
    """The open pool for statements that only read, of at most `size` connections.

    A session is used again as it was left: what runs on it must leave nothing behind. With a `statement_cache_size` of
    0 it stands behind a PgBouncer, which refuses to be told of a session that only reads; the time limit is ours then.
    Raises DatabaseUnavailable and PostgresTooOld.
    """
    pool = ReadingPool(
        dsn,
        init_size=1,
        min_size=0,
        max_size=size,
        max_queries=MOST_STATEMENTS_OF_A_SESSION,
        max_inactive_connection_lifetime=IDLE_SECONDS,
        connect=None,
        setup=None,
        init=prepare_connection,
        reset=leave_as_it_is,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=statement_timeout_seconds + GRACE_SECONDS,
        statement_cache_size=min(statement_cache_size, MOST_PREPARED),
        max_cacheable_statement_size=LARGEST_PREPARED_CHARACTERS,
        server_settings={
            "application_name": application_name,
            "timezone": "UTC",
            "datestyle": "ISO",
            **(reading_session(statement_timeout_seconds) if statement_cache_size else {}),
        },
    )
    with unavailable_told(dsn):
        await pool
    return pool


def reading_session(statement_timeout_seconds: float) -> dict[str, str]:
    """Settings of a session of Postgres' own. Compiling a plan costs more than it gains on statements of ours."""
    return {
        "default_transaction_read_only": "on",
        "jit": "off",
        "extra_float_digits": "1",
        # Planning what the schema asks for takes as long again as running it, and page sizes are in the text.
        "plan_cache_mode": "force_generic_plan",
        # A plan for all values cannot know a small workspace from a large one; every list has its index.
        "enable_seqscan": "off",
        "random_page_cost": "1.1",
        "statement_timeout": f"{max(1, round(statement_timeout_seconds * 1000))}ms",
    }


async def leave_as_it_is(_connection: Connection) -> None:
    """Instead of asyncpg's reset, which is a statement of its own after each fetch."""
