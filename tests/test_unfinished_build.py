"""Builds that nobody waits for any more: their workers are soon free again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.connection import Pool
from tests.api import Api, running_server, wait_for
from tests.model_lives import deleted, named, restored
from tests.packages import dependency, upload_job
from tests.services import ECHO, package

# What an installer would wait for an answer before it gave up is longer.
SOON_SECONDS = 12


@dataclass
class Index:
    """A package index that takes every question and answers none."""

    url: str = ""
    waiting: set[asyncio.StreamWriter] = field(default_factory=set)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.waiting.add(writer)
        while await reader.read(4096):
            pass
        self.waiting.discard(writer)
        writer.close()

    async def is_asked(self) -> bool:
        return bool(self.waiting)

    async def is_left(self) -> bool:
        return not self.waiting


@asynccontextmanager
async def silent_index() -> AsyncIterator[Index]:
    index = Index()
    server = await asyncio.start_server(index.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    index.url = f"http://127.0.0.1:{port}/simple"
    try:
        yield index
    finally:
        server.close()
        for writer in index.waiting:
            writer.close()


async def building(api: Api, index: Index) -> str:
    """The number of a version whose build waits for the index."""
    files = package(ECHO, dependencies=dependency({"package_name": "six"}))
    version = await api.import_version("iris", await upload_job(api, files))
    await wait_for(index.is_asked, within_seconds=60)
    assert (await api.version("iris", version, "status"))["status"] == "BUILDING"
    return version


async def builds(pool: Pool) -> list[Any]:
    return [row["state"] for row in await pool.fetch("SELECT state FROM environment_build ORDER BY id")]


async def test_deleting_a_version_ends_its_build(pool: Pool, database_url: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "own"
    data_dir.mkdir(mode=0o711)
    async with (
        silent_index() as index,
        running_server(pool, database_url, data_dir, package_index_url=index.url) as server,
    ):
        api = server.client()
        version = await building(api, index)
        await deleted(api, version)
        await wait_for(index.is_left, within_seconds=SOON_SECONDS)
        await wait_for(lambda: no_work(pool), within_seconds=SOON_SECONDS)
        assert await builds(pool) == ["FAILED"]

        await restored(api, version)
        payload = await api.mutate("retryImport", "modelVersion { status }", modelVersion=named(version))
        assert payload["errors"] == []
        await wait_for(index.is_asked, within_seconds=60)
        await wait_for(lambda: has_builds(pool, ["FAILED", "RUNNING"]))


async def no_work(pool: Pool) -> bool:
    return not await pool.fetchval("SELECT count(*) FROM pgqueuer")


async def has_builds(pool: Pool, states: list[str]) -> bool:
    return await builds(pool) == states
