"""The oldest Postgres that is served: the migrations apply there, and say what they need where that is not there."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pgqueuer.queries import Queries

from db.failure import MigrationFailure
from db.migrate import is_current, migrate, read_migrations
from db.pool import OLDEST_MAJOR_VERSION, create_pool
from server.postgres_account import PostgresAccount, postgres_account
from server.postgres_supervisor import is_ready, launch_identity, stop
from tests.deadline import eventually

# The last of pgserver's releases that brings Postgres 15; it has none of the extensions that belong to Postgres.
DISTRIBUTION = "pgserver==0.0.4"
INSTALLED = Path("/usr/lib/postgresql") / str(OLDEST_MAJOR_VERSION) / "bin"


def install_programs(folder: Path) -> Path:
    command = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--python", sys.executable]
    subprocess.run([*command, "--target", str(folder), DISTRIBUTION], check=True, timeout=300)
    return next(folder.rglob("bin/postgres")).parent


def launcher(account: PostgresAccount | None, *, needs_name: bool = False) -> list[str]:
    program = Path(__file__).parent.parent / "server" / "postgres_launcher.py"
    identity = launch_identity(account, needs_name=needs_name)
    return [sys.executable, "-I", "-S", str(program), str(os.getpid()), *identity]


@contextmanager
def old_server(root: Path, programs: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Postgres 15 on a socket in `root`."""
    cluster = root / "cluster"
    cluster.mkdir(mode=0o700)
    account = postgres_account(cluster, [programs, cluster])
    if account is not None:
        account.own(cluster)
    initdb = (str(programs / "initdb"), "-D", str(cluster), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
    subprocess.run(
        [*launcher(account, needs_name=True), *initdb, "--locale=C"], check=True, timeout=120, stdout=subprocess.DEVNULL
    )
    options = ("-D", str(cluster), "-k", str(cluster), "-c", "listen_addresses=", "-c", "fsync=off")
    with subprocess.Popen([*launcher(account), str(programs / "postgres"), *options]) as server:
        try:
            yield server
        finally:
            stop(server)


@pytest.mark.slow
async def test_a_server_without_an_extension_is_told_which(tmp_path: Path) -> None:
    with old_server(tmp_path, install_programs(tmp_path / "distribution")) as server:
        await eventually(lambda: is_ready(tmp_path / "cluster", server.pid))
        dsn = f"postgresql://postgres@/postgres?host={tmp_path / 'cluster'}&port=5432"
        with pytest.raises(MigrationFailure, match="the extension pg_trgm is needed, and this server does not have it"):
            await asyncio.wait_for(migrate(dsn), 60)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED.is_dir(), reason="the host has no Postgres 15 with its extensions")
async def test_migrations_apply_on_the_oldest_postgres(tmp_path: Path) -> None:
    with old_server(tmp_path, INSTALLED) as server:
        await eventually(lambda: is_ready(tmp_path / "cluster", server.pid))
        dsn = f"postgresql://postgres@/postgres?host={tmp_path / 'cluster'}&port=5432"
        assert await asyncio.wait_for(migrate(dsn), 60) == [migration.name for migration in read_migrations()]
        async with await create_pool(dsn, size=2) as pool:
            assert (await pool.fetchval("SHOW server_version")).split(".")[0] == str(OLDEST_MAJOR_VERSION)
            assert await is_current(pool)
            assert (await Queries.from_asyncpg_pool(pool).plan_upgrade()).statements == ()
