"""Trouble of the database while it is read: told with a code of its own, in one line of the log, and soon over."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

from db.connection import Pool
from db.migrate import migrate
from server.embedded_postgres import EmbeddedPostgres
from tests.reading_api import Told, end_reading_sessions_unheard, locked, reading_api

READ = "{ models { nodes { name } } }"
NOTHING: Mapping[str, Any] = MappingProxyType({"models": {"nodes": []}})
# graphql-core has begun when it comes to read: by the specification what it tells then comes with 200.
BOTH_WAYS = pytest.mark.parametrize(
    ("plans", "status"), [(True, 503), (False, 200)], ids=["planned", "by graphql-core"]
)


@pytest.fixture
async def postgres_of_ones_own(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """Migrated, and free to be stopped."""
    server = EmbeddedPostgres(tmp_path / "postgres", is_durable=False)
    try:
        await migrate(await server.start())
        yield server
    finally:
        await server.stop()


def assert_told_in_a_line(told: Told, code: str, *statuses: int) -> None:
    """The code with the request's id, and in one line of the log without a traceback."""
    assert told.code == code, (told.response.text, told.lines)
    assert told.response.status_code in (statuses or (503,))
    assert told.response.json().get("data") is None
    assert told.request_id == told.response.headers["x-request-id"]
    assert [line["code"] for line in told.lines] == [code], told.lines
    (line,) = told.lines
    assert line["log_level"] == "warning"
    assert not line.keys() & {"exc_info", "exception", "stack_info"}
    assert "\n" not in line["reason"]
    assert len(line["reason"]) < 300


@BOTH_WAYS
async def test_a_database_that_is_away_is_told_soon_and_read_again_once_it_is_back(
    postgres_of_ones_own: EmbeddedPostgres, data_dir: Path, plans: bool, status: int
) -> None:
    async with reading_api(postgres_of_ones_own.dsn, data_dir, plans=plans) as reading:
        assert await reading.api.ask(READ) == NOTHING
        await postgres_of_ones_own.stop()
        for _ in range(3):
            started = time.monotonic()
            assert_told_in_a_line(await reading.tell(READ), "DATABASE_UNAVAILABLE", status)
            assert time.monotonic() - started < 5
        await postgres_of_ones_own.start()
        assert await reading.api.ask(READ) == NOTHING


async def test_who_has_to_be_looked_up_first_is_told_the_same(
    postgres_of_ones_own: EmbeddedPostgres, data_dir: Path
) -> None:
    async with reading_api(postgres_of_ones_own.dsn, data_dir) as reading:
        token = await reading.new_token()
        await postgres_of_ones_own.stop()
        assert_told_in_a_line(await reading.tell(READ, token=token), "DATABASE_UNAVAILABLE")
        await postgres_of_ones_own.start()
        assert (await reading.tell(READ, token=token)).response.json()["data"] == NOTHING


@pytest.mark.parametrize("readers", [1, 8])
async def test_sessions_that_are_ended_unheard_cost_a_read_nothing(
    database_url: str, data_dir: Path, readers: int
) -> None:
    async with reading_api(database_url, data_dir, reading_pool_size=4) as reading:
        for _ in range(3):
            for number in (8, readers):
                responses, lines = await reading.tell_at_once(READ, number)
                assert lines == []
                assert [response.json()["data"] for response in responses] == [NOTHING] * number
                end_reading_sessions_unheard(database_url)


async def test_sessions_that_are_ended_unheard_are_no_mistake_of_ours(database_url: str, data_dir: Path) -> None:
    async with reading_api(database_url, data_dir, plans=False, reading_pool_size=4) as reading:
        for _ in range(3):
            await reading.tell_at_once(READ, 8)
            end_reading_sessions_unheard(database_url)
            responses, lines = await reading.tell_at_once(READ, 8)
            answers = [response.json() for response in responses]
            told = [error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])]
            assert set(told) <= {"DATABASE_UNAVAILABLE"}, lines
            assert all("errors" in answer or answer["data"] == NOTHING for answer in answers)
            assert await reading.api.ask(READ) == NOTHING


@BOTH_WAYS
async def test_who_gets_no_connection_in_time_is_told_that_others_have_them(
    database_url: str, data_dir: Path, plans: bool, status: int
) -> None:
    async with reading_api(database_url, data_dir, plans=plans, reading_pool_size=2) as reading:
        assert await reading.api.ask(READ) == NOTHING
        reading.pool.acquire_timeout_seconds = 0.05
        async with AsyncExitStack() as others:
            for _ in range(2):
                await others.enter_async_context(reading.pool.reading())
            assert_told_in_a_line(await reading.tell(READ), "OVERLOADED", status)
        assert await reading.api.ask(READ) == NOTHING


@BOTH_WAYS
async def test_a_statement_that_takes_too_long_is_told_as_that(
    database_url: str, data_dir: Path, pool: Pool, plans: bool, status: int
) -> None:
    async with reading_api(database_url, data_dir, plans=plans, max_query_seconds=0.5) as reading:
        assert await reading.api.ask(READ) == NOTHING
        async with locked(pool, "model"):
            assert_told_in_a_line(await reading.tell(READ), "OPERATION_TIMEOUT", status, 503)
        assert await reading.api.ask(READ) == NOTHING


async def test_a_statement_that_takes_too_long_is_not_run_again(database_url: str, data_dir: Path, pool: Pool) -> None:
    async with reading_api(database_url, data_dir, reading_pool_size=1, max_query_seconds=0.5) as reading:
        assert await reading.api.ask(READ) == NOTHING
        before = await stopped_statements(pool)
        async with locked(pool, "model"):
            assert (await reading.tell(READ)).code == "OPERATION_TIMEOUT"
    # A session tells its counts at its end at the latest.
    await reading_sessions_ended(pool)
    assert await stopped_statements(pool) - before == 1


async def stopped_statements(pool: Pool) -> int:
    await pool.execute("SELECT pg_stat_clear_snapshot()")
    statement = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    stopped: int = await pool.fetchval(statement)
    return stopped


async def reading_sessions_ended(pool: Pool) -> None:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'modelyard reading'"
    async with asyncio.timeout(30):
        while await pool.fetchval(f"{statement} AND datname = current_database()"):
            await asyncio.sleep(0.02)


async def test_a_mistake_of_ours_is_no_trouble_of_the_database(database_url: str, data_dir: Path, pool: Pool) -> None:
    async with reading_api(database_url, data_dir) as reading:
        await pool.execute("DROP VIEW reading.model CASCADE")
        told = await reading.tell(READ)
    assert (told.response.status_code, told.code) == (500, "INTERNAL_SERVER_ERROR")
    (line,) = told.lines
    assert isinstance(line["exc_info"], asyncpg.UndefinedTableError)
