"""Bytes that are brought in while somebody deletes those that nobody needs: they are there in the end."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artifacts.blob import BlobStore, blob_key
from db import stored_blob
from db.connection import Pool
from resolvers.blob_reservation import BlobReservations
from tests.api import wait_for
from tests.object_stores import chunks, folder_store, opened, read

DATA = b"bytes that two models have"
SHA256 = hashlib.sha256(DATA)
DAY_SECONDS = 24 * 3600.0


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[BlobStore]:
    async with opened(folder_store(tmp_path / "objects")) as store:
        yield BlobStore(store)


async def forgotten_long_ago(pool: Pool, blobs: BlobStore) -> None:
    """A blob that no version holds, and that nobody touched for two days."""
    await blobs.keep(DATA, reserve=BlobReservations(pool).reserve)
    await pool.execute("UPDATE stored_blob SET touched_at = now() - interval '2 days'")


async def purge(pool: Pool, blobs: BlobStore, found: asyncio.Event, go_on: asyncio.Event) -> int:
    """What the clean-up does, stopped for a while before it deletes the bytes."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await stored_blob.delete_unused(connection, after=b"", untouched_seconds=DAY_SECONDS, limit=100)
        found.set()
        await go_on.wait()
        for row in rows:
            await blobs.delete(row["sha256"].hex())
    return len(rows)


async def is_waiting(pool: Pool) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await pool.fetchval(waiting))


async def is_stored(pool: Pool, blobs: BlobStore) -> bool:
    known = await pool.fetchval("SELECT count(*) FROM stored_blob WHERE sha256 = $1", SHA256.digest())
    return bool(known) and await read(blobs.store, blob_key(SHA256.hexdigest())) == DATA


@pytest.mark.parametrize("is_large", [False, True])
async def test_what_is_brought_in_while_it_is_being_deleted_is_written_again(
    pool: Pool, blobs: BlobStore, is_large: bool
) -> None:
    await forgotten_long_ago(pool, blobs)
    info = await blobs.store.put("source", chunks(DATA))
    found, go_on = asyncio.Event(), asyncio.Event()
    reserve = BlobReservations(pool).reserve
    async with asyncio.TaskGroup() as group:
        purging = group.create_task(purge(pool, blobs, found, go_on))
        await found.wait()
        if is_large:
            group.create_task(blobs.ingest(blobs.store, "source", etag=info.etag, reserve=reserve))
        else:
            group.create_task(blobs.keep(DATA, reserve=reserve))
        await wait_for(lambda: is_waiting(pool))
        go_on.set()
    assert purging.result() == 1
    assert await is_stored(pool, blobs)


async def test_what_was_touched_before_is_not_deleted(pool: Pool, blobs: BlobStore) -> None:
    await forgotten_long_ago(pool, blobs)
    await blobs.keep(DATA, reserve=BlobReservations(pool).reserve)
    found, go_on = asyncio.Event(), asyncio.Event()
    go_on.set()
    assert await purge(pool, blobs, found, go_on) == 0
    assert await is_stored(pool, blobs)


async def test_many_files_at_once_are_reserved_together_and_the_same_bytes_once(pool: Pool, blobs: BlobStore) -> None:
    reserve = BlobReservations(pool).reserve
    files = [b"%d" % (number % 50) for number in range(200)]
    async with asyncio.TaskGroup() as group:
        for data in files:
            group.create_task(blobs.keep(data, reserve=reserve))
    assert await pool.fetchval("SELECT count(*) FROM stored_blob") == 50
    assert await pool.fetchval("SELECT count(DISTINCT touched_at) FROM stored_blob") < 50


async def test_a_reservation_that_fails_is_nobodys(pool: Pool, blobs: BlobStore) -> None:
    """Whoever waited for the statement that failed asks anew, and fails or succeeds by its own."""
    reservations = BlobReservations(pool)
    async with pool.acquire() as connection:
        await connection.execute("ALTER TABLE stored_blob RENAME TO away")
    results = await asyncio.gather(
        *(blobs.keep(b"%d" % number, reserve=reservations.reserve) for number in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, Exception) for result in results)
    assert [info async for info in blobs.store.list("blobs/")] == []
