"""The tests' Postgres: one server for the whole run, a template migrated once, a clone of it for each test."""

import fcntl
import hashlib
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil

from db.migrate import migrate, read_migrations
from server.postgres_directory import PostgresDirectory, try_lock

MEMORY = Path("/dev/shm")
ROOM_BYTES = 10 * 1024**3
FOLDER = "modelyard-tests-"
LEFT_SECONDS = 3600.0


def server_folder(run: Path) -> Path:
    """Where the server of a run has its files: in memory where there is room, else in the run's own folder.

    Each test makes a database and drops it, and a database is five hundred files.
    """
    if not MEMORY.is_dir() or min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) < ROOM_BYTES:
        return run / "postgres"
    for left in MEMORY.glob(f"{FOLDER}*"):
        with suppress(OSError):
            if time.time() - PostgresDirectory(left).users_lock.stat().st_mtime > LEFT_SECONDS:
                remove_unused(left)
    return MEMORY / f"{FOLDER}{hashlib.sha256(bytes(run)).hexdigest()[:16]}"


def remove_unused(folder: Path) -> None:
    """Remove a server's files unless somebody uses it. A server that has just ended lets go of its locks one by one."""
    with suppress(OSError), PostgresDirectory(folder).users_lock.open("r+") as users:
        for _ in range(100):
            if try_lock(users, fcntl.LOCK_EX):
                shutil.rmtree(folder, ignore_errors=True)
                return
            time.sleep(0.01)


def template_name() -> str:
    """Says which migrations it has seen: a server of one's own outlives the run."""
    digests = "".join(migration.sha256 for migration in read_migrations())
    return f"migrated_{hashlib.sha256(digests.encode()).hexdigest()[:16]}"


def in_database(dsn: str, name: str) -> str:
    """The same server's address with another database."""
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


async def have_template(dsn: str, lock_path: Path) -> None:
    """Make the migrated template unless another worker of this run has."""
    with lock_path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = await asyncpg.connect(dsn)
        try:
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template_name()):
                return
            await connection.execute("DROP DATABASE IF EXISTS migrating")
            await connection.execute("CREATE DATABASE migrating")
            await migrate(in_database(dsn, "migrating"))
            await connection.execute(f"ALTER DATABASE migrating RENAME TO {template_name()}")
        finally:
            await connection.close()


@asynccontextmanager
async def new_database(dsn: str, template: str = "template0") -> AsyncIterator[str]:
    """A database of one's own, and its address."""
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield in_database(dsn, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
