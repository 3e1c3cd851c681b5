"""Connections to Postgres: a single one, or the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg
import orjson

from db.connection import Connection, Pool
from db.failure import DATABASE_ERRORS, DatabaseUnavailable, PostgresTooOld

OLDEST_MAJOR_VERSION = 15
CONNECT_TIMEOUT_SECONDS = 10.0

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
