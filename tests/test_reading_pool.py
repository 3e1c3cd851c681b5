"""The pool for reading: sessions that only read, time limits on all of it, and nothing left behind in a session."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from db.connection import Connection, Pool
from db.failure import READ_TIMEOUTS
from db.reading_pool import create_reading_pool
from server.app import Parts, build_app
from server.process import assembled
from server.settings import Placement, Settings
from tests.api import TOKEN, Api

# What PgBouncer lets a client set at the start; anything else it refuses to connect.
KNOWN_TO_PGBOUNCER = {"TimeZone", "application_name", "client_encoding"}
LEFT_BEHIND = """
SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND setting IS DISTINCT FROM reset_val
UNION ALL
SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
UNION ALL
SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL
SELECT 'channel ' || channel FROM pg_listening_channels() AS channel
"""
DOCUMENTS = (
    "{ modelyard { viewer { name } workspace { name } engine { name } } }",
    "{ trainingJobs { totalCount nodes { id name versions { totalCount nodes { id name parameters { name } } } } } }",
    "{ trainingJobVersions(last: 3) { edges { cursor node { id status output { key } } } pageInfo { startCursor } } }",
    "{ models { nodes { name versions(first: 2) { nodes { version status } } } } modelVersions { totalCount } }",
    "{ services { nodes { name status } } uploads { nodes { id } } backgroundOperations { nodes { id state } } }",
    '{ trainingJob(by: {name: "iris"}) { id } model(by: {name: "absent"}) { id } node(id: "mdl_0") { id } }',
)


@pytest.fixture
async def reading_pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_reading_pool(database_url, size=2) as opened:
        yield opened


@asynccontextmanager
async def parts_of(database_url: str, data_dir: Path, **settings: object) -> AsyncIterator[Parts]:
    """What a server without a worker is made of."""
    values = {"token": SecretStr(TOKEN), "data_dir": data_dir, "database_url": SecretStr(database_url), **settings}
    async with assembled(Settings.model_validate({"worker": Placement.NONE, **values})) as parts:
        yield parts


async def left_behind(connection: Connection) -> set[str]:
    return {row[0] for row in await connection.fetch(LEFT_BEHIND)}


async def test_nothing_can_be_written_on_it(reading_pool: Pool) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reading_pool.execute("DELETE FROM model")


async def test_its_sessions_read_in_utc_without_compiling(reading_pool: Pool) -> None:
    shown = [await reading_pool.fetchval(f"SHOW {name}") for name in ("timezone", "jit", "statement_timeout")]
    assert shown == ["UTC", "off", "30s"]
    assert await reading_pool.fetchval("SELECT $1::jsonb", {"a": [1]}) == {"a": [1]}


async def test_a_statement_that_takes_too_long_is_stopped_and_the_session_serves_on(database_url: str) -> None:
    async with await create_reading_pool(database_url, size=1, statement_timeout_seconds=0.05) as pool:
        session = await pool.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(READ_TIMEOUTS):
            await pool.fetchval("SELECT pg_sleep(30)")
        assert await pool.fetchval("SELECT pg_backend_pid()") == session


async def test_nobody_waits_for_a_connection_without_an_end(database_url: str) -> None:
    async with await create_reading_pool(database_url, size=1) as pool:
        pool.acquire_timeout_seconds = 0.05
        async with asyncio.timeout(30), pool.acquire():
            with pytest.raises(READ_TIMEOUTS):
                await pool.fetchval("SELECT 1")
        assert await pool.fetchval("SELECT 1") == 1


async def test_who_is_cancelled_gives_the_connection_back(database_url: str) -> None:
    async with await create_reading_pool(database_url, size=1) as pool:
        for statement in ("SELECT pg_sleep(30)", "SELECT 1"):
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(pool.fetchval(statement)) for _ in range(3)]
                await asyncio.sleep(0)
                for task in asked:
                    task.cancel()
        assert await pool.fetchval("SELECT 1") == 1
        assert pool.get_idle_size() == pool.get_size() == 1


async def test_a_long_statement_is_prepared_once(database_url: str) -> None:
    statement = f"SELECT 1 /* {'x' * 100_000} */"
    async with await create_reading_pool(database_url, size=1) as pool:
        for _ in range(3):
            assert await pool.fetchval(statement) == 1
        prepared = "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = $1"
        assert [row[0] for row in await pool.fetch(prepared, statement)] == [3]


async def test_behind_a_pgbouncer_it_asks_for_nothing_that_would_be_refused(database_url: str) -> None:
    async with await create_reading_pool(
        database_url, size=1, statement_cache_size=0, statement_timeout_seconds=0.05
    ) as pool:
        told = await pool.fetch("SELECT name FROM pg_settings WHERE source = 'client'")
        assert {row["name"] for row in told} <= KNOWN_TO_PGBOUNCER
        assert await pool.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        with pytest.raises(READ_TIMEOUTS):
            await pool.fetchval("SELECT pg_sleep(30)")
        assert await pool.fetchval("SHOW timezone") == "UTC"


async def test_what_is_answered_leaves_nothing_behind_in_a_session(database_url: str, data_dir: Path) -> None:
    async with parts_of(database_url, data_dir, reading_pool_size=2) as parts:
        transport = httpx.ASGITransport(app=build_app(parts))
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://modelyard.test", headers=headers) as client:
            api = Api(client, parts.installation.pool)
            await api.record_job("iris")
            await asyncio.gather(*(api.send(document) for document in DOCUMENTS * 4))
        pool = parts.installation.reading_pool
        await pool.give_back()
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]
            assert [await left_behind(session) for session in sessions] == [set(), set()]


async def test_what_is_left_behind_would_be_seen(database_url: str) -> None:
    async with await create_reading_pool(database_url, size=1) as pool:
        await pool.execute("SET work_mem = '8MB'; LISTEN news")
        await pool.execute("BEGIN; DECLARE reader CURSOR WITH HOLD FOR SELECT 1; COMMIT")
        await pool.execute("SELECT pg_advisory_lock(7)")
        async with pool.acquire() as session:
            expected = {"setting work_mem", "channel news", "cursor reader", "lock 7"}
            assert await left_behind(session) == expected


async def test_its_size_is_set_or_follows_the_cores(database_url: str, data_dir: Path) -> None:
    async with parts_of(database_url, data_dir, reading_pool_size=3) as parts:
        assert parts.installation.reading_pool.get_max_size() == 3
    async with parts_of(database_url, data_dir) as parts:
        size = parts.installation.reading_pool.get_max_size()
        assert size == max(4, 2 * (os.cpu_count() or 1))
