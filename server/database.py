"""The database a process works with: DATABASE_URL's, or the embedded one for as long as it is used."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from db.connection import Pool
from db.failure import DatabaseFailure
from db.migrate import migrate
from db.pool import create_pool
from db.reading_pool import ReadingPool, create_reading_pool
from server.data_directory import prepare_data_directory
from server.embedded_postgres import EmbeddedPostgres
from server.failure import StartFailure
from server.settings import Settings

READERS_PER_CORE = 2
LONGEST_STATEMENT_SECONDS = 20.0
FEWEST_READERS = 4
# Postgres keeps about 1 MB for each that is long, in each connection.
MOST_PREPARED_BY_A_READER = 128


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of a running, migrated database. Raises StartFailure and DatabaseFailure."""
    async with database_address(settings) as dsn:
        await migrate(dsn)
        yield dsn


@asynccontextmanager
async def database_address(settings: Settings) -> AsyncIterator[str]:
    """The DSN of a running database as it is found. Raises StartFailure."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    prepare_data_directory(settings.data_dir)
    async with EmbeddedPostgres(settings.data_dir / "postgres") as postgres:
        yield postgres.dsn


@contextmanager
def started_early(settings: Settings) -> Iterator[None]:
    """Let the embedded Postgres start beside what the caller does meanwhile, and hold it until the end.

    A failure is not told here: whoever asks for the database meets it again.
    """
    if settings.database_url is not None:
        yield
        return
    postgres = EmbeddedPostgres(settings.data_dir / "postgres")
    starter = threading.Thread(target=_start, args=(postgres,), name="embedded Postgres")
    starter.start()
    try:
        yield
    finally:
        starter.join()
        asyncio.run(postgres.stop())


def _start(postgres: EmbeddedPostgres) -> None:
    with suppress(StartFailure, DatabaseFailure, OSError):
        asyncio.run(postgres.start())


@asynccontextmanager
async def database_pool(settings: Settings, dsn: str) -> AsyncIterator[Pool]:
    """A pool as the settings have it. Raises DatabaseFailure."""
    pool = await create_pool(
        dsn,
        size=settings.database_pool_size,
        statement_cache_size=settings.database_statement_cache_size,
    )
    async with pool:
        yield pool


@asynccontextmanager
async def reading_pool(settings: Settings, dsn: str) -> AsyncIterator[ReadingPool]:
    """The pool for reading as the settings have it. Raises DatabaseFailure."""
    pool = await create_reading_pool(
        dsn,
        size=settings.reading_pool_size or max(FEWEST_READERS, READERS_PER_CORE * (os.cpu_count() or 1)),
        statement_cache_size=min(MOST_PREPARED_BY_A_READER, settings.database_statement_cache_size),
        statement_timeout_seconds=min(settings.max_query_seconds, LONGEST_STATEMENT_SECONDS),
    )
    async with pool:
        yield pool
