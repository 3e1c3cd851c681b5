"""Connections to Postgres: a single one, or the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import orjson
from asyncpg import Record
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

from db.connection import Connection, Pool
from db.failure import DATABASE_ERRORS, DatabaseUnavailable, PostgresTooOld

OLDEST_MAJOR_VERSION = 15
CONNECT_TIMEOUT_SECONDS = 10.0
ACQUIRE_TIMEOUT_SECONDS = 10.0
# How much later than the server we stop a statement of the reading pool: its own word is the clearer one.
GRACE_SECONDS = 1.0
LARGEST_PREPARED_CHARACTERS = 1 << 20
# A new session has to prepare everything again.
MOST_STATEMENTS_OF_A_SESSION = 1_000_000
IDLE_SECONDS = 300.0

JSONValue: TypeAlias = "dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None"


@asynccontextmanager
async def connection(
    dsn: str, *, application_name: str = "modelyard", command_timeout_seconds: float | None = 30.0
) -> AsyncIterator[Connection]:
    """One connection outside the pool: a session of its own, closed at the end.

    Raises DatabaseUnavailable and PostgresTooOld.
    """
    with unavailable_told(dsn):
        opened = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=command_timeout_seconds,
            statement_cache_size=0,
            server_settings={"application_name": application_name},
        )
    try:
        await prepare_connection(opened)
        yield opened
    finally:
        await close(opened)


async def create_pool(
    dsn: str,
    *,
    size: int,
    statement_cache_size: int = 1024,
    command_timeout_seconds: float = 30.0,
    application_name: str = "modelyard",
) -> Pool:
    """The open pool, of at most `size` connections; json and jsonb are Python values on both ways.

    `statement_cache_size` is 0 behind a PgBouncer that pools transactions. Raises DatabaseUnavailable and
    PostgresTooOld.
    """
    with unavailable_told(dsn):
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=command_timeout_seconds,
            statement_cache_size=statement_cache_size,
            server_settings={"application_name": application_name},
            init=prepare_connection,
        )


class ReadingPool(asyncpg.Pool):
    """Nobody waits without an end for one of its connections, by whichever method: TimeoutError."""

    acquire_timeout_seconds = ACQUIRE_TIMEOUT_SECONDS

    def __init__(self, *parts: Any, **settings: Any) -> None:
        super().__init__(*parts, **settings)
        self._resting: list[PoolConnectionProxy[Record]] = []
        self._waiting = 0

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        # A limit costs 40 µs, a fifth of a short fetch, and is for nothing while a connection is there to be taken.
        if timeout is None and not self.get_idle_size():
            timeout = self.acquire_timeout_seconds
        return super().acquire(timeout=timeout)

    async def read_text(self, text: str, *values: object) -> str:
        """The one value of a statement.

        A connection that has answered is not given back while nobody waits for one: to give it back and to take it
        again costs as much as a short statement.
        """
        connection = await self._taken()
        try:
            value: str = await connection.fetchval(text, *values)
        except BaseException:
            await self.release(connection)
            raise
        if self._waiting or connection.is_closed() or len(self._resting) >= self.get_max_size() - 1:
            await self.release(connection)
        else:
            self._resting.append(connection)
        return value

    async def _taken(self) -> PoolConnectionProxy[Record]:
        while self._resting:
            connection = self._resting.pop()
            if not connection.is_closed():
                return connection
            await self.release(connection)
        self._waiting += 1
        try:
            return await self.acquire()
        finally:
            self._waiting -= 1

    async def give_back(self) -> None:
        """Give back the connections that rest, for whoever wants all of them."""
        while self._resting:
            await self.release(self._resting.pop())

    async def close(self) -> None:
        await self.give_back()
        await super().close()

    def terminate(self) -> None:
        self._resting.clear()
        super().terminate()


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
        statement_cache_size=statement_cache_size,
        max_cacheable_statement_size=LARGEST_PREPARED_CHARACTERS,
        server_settings={
            "application_name": application_name,
            "timezone": "UTC",
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
        # Planning what the schema asks for takes as long again as running it, and page sizes are in the text.
        "plan_cache_mode": "force_generic_plan",
        "statement_timeout": f"{max(1, round(statement_timeout_seconds * 1000))}ms",
    }


async def leave_as_it_is(_connection: Connection) -> None:
    """Instead of asyncpg's reset, which is a statement of its own after each fetch."""


async def prepare_connection(connection: Connection) -> None:
    """Set the codecs. Raises PostgresTooOld."""
    version = connection.get_server_version()
    if version.major < OLDEST_MAJOR_VERSION:
        raise PostgresTooOld(f"Postgres {OLDEST_MAJOR_VERSION} or newer is needed; this one is {version.major}.")
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encode_json, decoder=orjson.loads)


def encode_json(value: JSONValue) -> str:
    return orjson.dumps(value).decode()


async def close(connection: Connection) -> None:
    """Close, politely if the server still answers."""
    try:
        await connection.close(timeout=2)
    except DATABASE_ERRORS:
        connection.terminate()


@contextmanager
def unavailable_told(dsn: str) -> Iterator[None]:
    """Turn each way of not getting a connection into DatabaseUnavailable."""
    try:
        yield
    except TimeoutError as error:
        reason = f"no answer within {CONNECT_TIMEOUT_SECONDS:.0f} s"
        raise DatabaseUnavailable(f"The database at {address(dsn)} cannot be reached: {reason}.") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, KeyError) as error:
        # KeyError: an address without a user takes ours, and a user id need not have a name.
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise DatabaseUnavailable(f"The database at {address(dsn)} cannot be used: {reason}.") from error


def address(dsn: str) -> str:
    """Where a DSN leads, without user, password and options."""
    try:
        parts = urlsplit(dsn)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "DATABASE_URL"
    return f"{host or 'its socket'}{f':{port}' if port else ''}{parts.path}"
