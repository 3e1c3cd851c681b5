"""Migrations: applied once, in order, by one of many; and the queue's schema is what pgqueuer expects."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from pgqueuer.queries import Queries

from db.connection import Pool
from db.failure import DatabaseNewer, DatabaseUnavailable, MigrationFailure
from db.migrate import Migration, is_current, migrate, read_migrations
from db.pool import connection, create_pool

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE first (id integer)")
SECOND = Migration(2, "0002_second.sql", "CREATE TABLE second (id integer); INSERT INTO second VALUES (1)")
OUTSIDE = Migration(2, "0002_outside.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY first_id ON first (id)")
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE second (id integer); SELECT 1 / 0")


async def tables(dsn: str) -> set[str]:
    async with connection(dsn) as session:
        rows = await session.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    return {row["relname"] for row in rows}


async def current(dsn: str, *migrations: Migration) -> bool:
    async with connection(dsn) as session:
        return await is_current(session, migrations)


async def test_each_is_applied_once_and_in_order(empty_database_url: str) -> None:
    assert not await current(empty_database_url, FIRST, SECOND)
    assert await migrate(empty_database_url, [FIRST]) == ["0001_first.sql"]
    assert not await current(empty_database_url, FIRST, SECOND)
    assert await migrate(empty_database_url, [FIRST, SECOND]) == ["0002_second.sql"]
    assert await current(empty_database_url, FIRST, SECOND)
    assert await migrate(empty_database_url, [FIRST, SECOND]) == []
    assert {"first", "second"} <= await tables(empty_database_url)


async def test_many_processes_at_once_apply_each_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_database_url, [FIRST, OUTSIDE]) for _ in range(6)))
    assert sorted(itertools.chain(*applied)) == ["0001_first.sql", "0002_outside.sql"]
    assert "first_id" in await tables(empty_database_url)


async def test_a_failed_migration_leaves_nothing_behind(empty_database_url: str) -> None:
    with pytest.raises(MigrationFailure, match=r"0002_broken\.sql failed: division by zero"):
        await migrate(empty_database_url, [FIRST, BROKEN])
    assert "second" not in await tables(empty_database_url)
    assert await migrate(empty_database_url, [FIRST, SECOND]) == ["0002_second.sql"]


async def test_a_role_that_may_not_create_an_extension_is_told_which(empty_database_url: str) -> None:
    """In Postgres since 13 whoever may create anything in a database may create these; here nobody is its owner."""
    async with connection(empty_database_url) as session:
        database = await session.fetchval("SELECT current_database()")
        await session.execute(f"CREATE ROLE {database}_role LOGIN")
        await session.execute(f"GRANT ALL ON SCHEMA public TO {database}_role")
    whoever = urlsplit(empty_database_url)
    host = whoever.netloc.rpartition("@")[2]
    dsn = whoever._replace(netloc=f"{database}_role@{host}").geturl()
    search = [migration for migration in read_migrations() if migration.name == "0005_search.sql"]
    with pytest.raises(MigrationFailure, match=r"pg_trgm is needed, and this role may not create it"):
        await migrate(dsn, [replace(migration, number=1) for migration in search])


async def test_extensions_are_found_in_a_schema_that_is_not_searched(empty_database_url: str) -> None:
    async with connection(empty_database_url) as session:
        await session.execute("CREATE SCHEMA extensions")
        for extension in ("pg_trgm", "btree_gin"):
            await session.execute(f"CREATE EXTENSION {extension} SCHEMA extensions")
    assert await migrate(empty_database_url) == [migration.name for migration in read_migrations()]


async def test_an_edited_migration_is_refused(empty_database_url: str) -> None:
    await migrate(empty_database_url, [FIRST])
    edited = Migration(1, FIRST.name, "CREATE TABLE other (id integer)")
    with pytest.raises(MigrationFailure, match="edited after"):
        await migrate(empty_database_url, [edited])
    assert "other" not in await tables(empty_database_url)


async def test_a_newer_database_is_refused_and_left_alone(empty_database_url: str) -> None:
    await migrate(empty_database_url, [FIRST, SECOND])
    with pytest.raises(DatabaseNewer, match=r"newer than this program.*0002_second\.sql"):
        await migrate(empty_database_url, [FIRST])
    assert await current(empty_database_url, FIRST)


async def test_an_unreachable_database_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        await migrate("postgresql://somebody:hidden@127.0.0.1:1/nowhere", [FIRST])
    assert "127.0.0.1:1/nowhere" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dsn", ["postgresql://host:port/x", "postgresql:///x?sslmode=nonsense"])
async def test_a_wrong_address_is_told_in_one_line(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate(dsn, [FIRST])


@pytest.mark.parametrize("names", [["0002_b.sql"], ["0001_a.sql", "0001_b.sql"], ["0001_A.sql"], ["1_a.sql"]])
def test_wrong_names_and_numbers_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationFailure):
        read_migrations(tmp_path)


async def test_our_own_migrations_apply_and_are_current(empty_database_url: str) -> None:
    known = read_migrations()
    assert await migrate(empty_database_url) == [migration.name for migration in known]
    assert await current(empty_database_url, *known)


async def test_the_queue_is_what_the_installed_pgqueuer_expects(pool: Pool) -> None:
    plan = await Queries.from_asyncpg_pool(pool).plan_upgrade()
    assert plan.statements == (), "a new migration must run these"


async def test_the_queue_survives_a_crash(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT relname, relpersistence FROM pg_class WHERE relname LIKE 'pgqueuer%' AND relkind = 'r'"
    )
    assert {row["relname"] for row in rows} >= {"pgqueuer", "pgqueuer_log", "pgqueuer_schedules"}
    assert {row["relpersistence"] for row in rows} == {b"p"}


async def test_the_pool_speaks_json(pool: Pool) -> None:
    value = {"text": "ü", "list": [1, 2.5, None, True]}
    assert await pool.fetchval("SELECT $1::jsonb", value) == value
    assert await pool.fetchval("SELECT $1::json", value) == value


async def test_the_pool_works_without_prepared_statements(database_url: str) -> None:
    async with await create_pool(database_url, size=2, statement_cache_size=0) as opened:
        assert await opened.fetchval("SELECT count(*) FROM schema_migration") == len(read_migrations())


async def test_a_pool_on_no_database_is_told(database_url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        await create_pool(database_url.replace("/test_", "/absent_"), size=2)


async def test_each_test_has_a_database_of_its_own(database_url: str, empty_database_url: str) -> None:
    assert database_url != empty_database_url
    session = await asyncpg.connect(empty_database_url)
    assert await session.fetchval("SELECT to_regclass('workspace')") is None
    await session.close()
