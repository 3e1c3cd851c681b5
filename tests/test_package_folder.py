"""The lock beside a package's folder goes with the folder, and still lets one process at a time at it."""

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from artifacts.blob import BlobStore, blob_key
from artifacts.package_directory import PackageEntry, discard, materialise
from tests.object_stores import chunks, folder_store, opened

FILE = PackageEntry("config.json", 2, hashlib.sha256(b"{}").hexdigest())


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[BlobStore]:
    async with opened(folder_store(tmp_path / "objects")) as store:
        await store.put(blob_key(FILE.sha256), chunks(b"{}"))
        yield BlobStore(store)


async def no() -> bool:
    return False


async def test_nothing_is_left_of_a_folder_that_was_discarded(blobs: BlobStore, tmp_path: Path) -> None:
    folder = tmp_path / "packages" / "one"
    await materialise(blobs, [FILE], folder)
    assert await discard(folder, unless=no)
    assert os.listdir(folder.parent) == []


async def test_whoever_waited_for_a_lock_that_was_removed_takes_the_one_in_its_place(
    blobs: BlobStore, tmp_path: Path
) -> None:
    folder = tmp_path / "packages" / "one"
    folder.parent.mkdir()
    lock = folder.parent / ".one.lock"
    removed, held = (os.open(lock, os.O_RDWR | os.O_CREAT), -1)
    try:
        fcntl.flock(removed, fcntl.LOCK_EX)
        waiting = asyncio.create_task(materialise(blobs, [FILE], folder))
        await wait_until_open(lock, times=2)
        lock.unlink()
        held = os.open(lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(held, fcntl.LOCK_EX)
        os.close(removed)
        await wait_until_open(lock, times=2)
        assert not folder.exists(), "another holds the lock that is in place"
        os.close(held)
        await asyncio.wait_for(waiting, 10)
    finally:
        waiting.cancel()
    assert (folder / "config.json").read_bytes() == b"{}"


async def wait_until_open(path: Path, *, times: int) -> None:
    """Until this process has the file open so often."""
    async with asyncio.timeout(10):
        while open_descriptors(path) < times:
            await asyncio.sleep(0.01)


def open_descriptors(path: Path) -> int:
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.path.samestat(os.stat(f"/proc/self/fd/{name}"), path.stat())
        except FileNotFoundError:
            continue
    return found
