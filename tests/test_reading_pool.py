"""The pool for reading: sessions that only read, time limits on all of it, and nothing left behind in a session."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from db.connection import Connection, Pool
from db.failure import READ_TIMEOUTS
from db.reading_pool import ReadingPool, create_reading_pool
from tests.deadline import eventually
from tests.reading_api import end_reading_sessions, parts_of, reading_api

# What PgBouncer lets a client set at the start; anything else it refuses to connect.
KNOWN_TO_PGBOUNCER = {"DateStyle", "TimeZone", "application_name", "client_encoding"}
SIZE = 4
HELLO = "SELECT 'hello'"
WAITS_FOR_LOCK = "SELECT 'hello' FROM pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7)"
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


@pytest.mark.parametrize(("length", "plans"), [(30_000, [3]), (40_000, [])])
async def test_a_statement_is_prepared_once_unless_it_takes_too_much_memory(
    database_url: str, length: int, plans: list[int]
) -> None:
    statement = f"SELECT 1 /* {'x' * length} */"
    async with await create_reading_pool(database_url, size=1) as pool:
        for _ in range(3):
            assert await pool.fetchval(statement) == 1
        prepared = "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = $1"
        assert [row[0] for row in await pool.fetch(prepared, statement)] == plans


async def test_sessions_that_ended_while_they_rested_are_replaced(database_url: str, pool: Pool) -> None:
    async with await create_reading_pool(database_url, size=SIZE) as reading_pool:
        await all_at_once(reading_pool)
        for _ in range(3):
            await end_reading_sessions(pool)
            await eventually(lambda: reading_pool.get_size() == 0)
            async with asyncio.timeout(30):
                answers = await asyncio.gather(*(reading_pool.read_text(HELLO) for _ in range(2 * SIZE)))
            assert answers == ["hello"] * (2 * SIZE)
            await all_at_once(reading_pool)


async def test_a_read_that_ends_while_the_pool_closes_lets_it_close(database_url: str, pool: Pool) -> None:
    reading_pool = await create_reading_pool(database_url, size=1)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks, advisory_lock(pool) as released:
        reader = tasks.create_task(reading_pool.read_text(WAITS_FOR_LOCK))
        await waits_for_lock(pool)
        waiter = tasks.create_task(refused_read(reading_pool))
        await asyncio.sleep(0)
        closing = tasks.create_task(reading_pool.close())
        await asyncio.sleep(0)
        assert not closing.done()
        released.set()
    assert reader.result() == "hello"
    assert isinstance(waiter.result(), asyncpg.InterfaceError)
    assert reading_pool.get_size() == 0


async def test_readers_that_are_cancelled_lose_no_connection(database_url: str) -> None:
    picker = random.Random(7)
    async with await create_reading_pool(database_url, size=SIZE) as reading_pool, asyncio.timeout(120):
        for _ in range(50):
            readers = [asyncio.create_task(reading_pool.read_text(HELLO)) for _ in range(5 * SIZE)]
            doomed = picker.sample(readers, 20)
            turns = picker.choices(range(12), k=len(readers))
            for turn in range(12):
                for reader, chosen in zip(readers, turns, strict=True):
                    if reader in doomed and chosen == turn:
                        reader.cancel()
                await asyncio.sleep(0)
            answers = await asyncio.gather(*readers, return_exceptions=True)
            assert {answer for answer in answers if isinstance(answer, str)} <= {"hello"}
            others = [a for r, a in zip(readers, answers, strict=True) if r not in doomed]
            assert others == ["hello"] * len(others)
        await all_at_once(reading_pool)


async def test_a_waiter_that_is_cancelled_when_it_is_handed_a_connection_hands_it_on(database_url: str) -> None:
    async with await create_reading_pool(database_url, size=1) as reading_pool, asyncio.timeout(60):
        for _ in range(1_000):
            async with reading_pool.reading():
                waiter = asyncio.create_task(reading_pool.read_text(HELLO))
                await asyncio.sleep(0)
            # The connection is the waiter's now, who has not heard of it yet.
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
        await all_at_once(reading_pool)


async def all_at_once(reading_pool: ReadingPool) -> None:
    """The pool gives as many connections at the same time as it may have, and each answers."""
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        size = reading_pool.get_max_size()
        sessions = [await stack.enter_async_context(reading_pool.reading()) for _ in range(size)]
        pids = await asyncio.gather(*(session.fetchval("SELECT pg_backend_pid()") for session in sessions))
        assert len(set(pids)) == size


@asynccontextmanager
async def advisory_lock(pool: Pool) -> AsyncIterator[asyncio.Event]:
    """Held until the block's end, and then until the event is set."""
    async with pool.acquire() as session, session.transaction():
        await session.execute("SELECT pg_advisory_xact_lock(7)")
        released = asyncio.Event()
        yield released
        await released.wait()


async def waits_for_lock(pool: Pool) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
    async with asyncio.timeout(30):
        while not await pool.fetchval(waiting):
            await asyncio.sleep(0.02)


async def refused_read(reading_pool: ReadingPool) -> Exception:
    with pytest.raises(Exception, match="clos") as refused:
        await reading_pool.read_text(HELLO)
    return refused.value


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
    async with reading_api(database_url, data_dir, reading_pool_size=2) as reading:
        await reading.api.record_job("iris")
        await asyncio.gather(*(reading.api.send(document) for document in DOCUMENTS * 4))
        pool = reading.pool
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
