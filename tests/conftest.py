"""What every test may ask for: a Postgres of the run, a migrated database of the test's own, a pool on it."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from db.connection import Pool
from db.pool import create_pool
from server.embedded_postgres import EmbeddedPostgres
from tests.api import Api, RunningServer, running_server
from tests.postgres import have_template, new_database, remove_unused, server_folder, template_name


def pytest_collection_finish() -> None:
    """What is there before the first test stays: collections need not look through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The address of the run's server, which the workers of pytest-xdist share; TEST_DATABASE_URL names another one."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    base = tmp_path_factory.getbasetemp()
    folder = server_folder(base if worker_id == "master" else base.parent)
    server = EmbeddedPostgres(folder, is_durable=False)
    yield asyncio.run(server.start())
    asyncio.run(server.stop())
    remove_unused(folder)


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """The same address, once the template is there."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    asyncio.run(have_template(postgres, shared / "template.lock"))
    return postgres


@pytest.fixture
async def empty_database_url(postgres: str) -> AsyncIterator[str]:
    """The address of a database without a schema."""
    async with new_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def database_url(migrated_postgres: str) -> AsyncIterator[str]:
    """The address of a migrated database of the test's own."""
    async with new_database(migrated_postgres, template_name()) as dsn:
        yield dsn


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, size=5) as opened:
        yield opened


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where environments are built, once for the whole run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "environments"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, environments: Path) -> Path:
    """A data directory of the test's own that shares the run's environments."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o711)
    (folder / "environments").symlink_to(environments)
    return folder


@pytest.fixture
async def server(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[RunningServer]:
    """A server of the test's own."""
    async with running_server(pool, database_url, data_dir) as running:
        yield running


@pytest.fixture
async def api(server: RunningServer) -> Api:
    """A client of that server, signed in to its default workspace."""
    return server.client()
