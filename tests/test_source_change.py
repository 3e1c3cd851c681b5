"""What is written to a package's place, or fails to be written to the store, while it is imported."""

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from tests.api import Api, running_server, wait_for
from tests.packages import MXNET, blobs, event_kinds, files_of, import_package, mxnet_package, retried, upload_job

LARGE = bytes(3 << 20)
CONFIG = "config.json"


@asynccontextmanager
async def rows_held(pool: Pool) -> AsyncIterator[None]:
    """While it lasts, an import copies bytes and cannot note that it has."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE model_file IN SHARE MODE")
        yield


@asynccontextmanager
async def reading_held(pool: Pool, first: bytes) -> AsyncIterator[None]:
    """While it lasts, an import waits once it has read the first files of a package, one of which has these bytes."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        sha256 = hashlib.sha256(first).digest()
        await connection.execute("INSERT INTO stored_blob (sha256, size_bytes) VALUES ($1, $2)", sha256, len(first))
        try:
            yield
        finally:
            await transaction.rollback()


async def model_folder(api: Api, data_dir: Path) -> Path:
    return data_dir / "objects" / str(await api.pool.fetchval("SELECT output_key FROM training_job_version")) / "model"


def overwrite(folder: Path) -> None:
    (folder / "large.bin").write_bytes(b"written to")


def delete(folder: Path) -> None:
    (folder / "large.bin").unlink()


def add(folder: Path) -> None:
    (folder / "new.txt").write_bytes(b"new")


CHANGES: list[tuple[Callable[[Path], None], str, str, str]] = [
    (overwrite, "large.bin", f"{len(LARGE)} bytes", "10 bytes"),
    (delete, "large.bin", f"{len(LARGE)} bytes", "no object"),
    (add, "new.txt", "no object", "3 bytes"),
]


async def is_copied(api: Api, files: int) -> bool:
    """Whether every file's bytes have been brought in."""
    return await api.count("stored_blob") == files


@pytest.mark.parametrize(("change", "file", "expected", "actual"), CHANGES)
async def test_a_package_that_is_written_to_after_it_was_copied_is_not_imported(
    api: Api, pool: Pool, data_dir: Path, change: Callable[[Path], None], file: str, expected: str, actual: str
) -> None:
    package = {**mxnet_package(), "model/large.bin": LARGE}
    source = await upload_job(api, package, algorithm=MXNET)
    async with rows_held(pool):
        await api.import_version("iris", source)
        await wait_for(lambda: is_copied(api, len(package)))
        change(await model_folder(api, data_dir))
    failed = await api.imported("iris", "0.0.1")
    assert (failed["status"], failed["operation"]["error"]) == ("IMPORT_FAILED", {"code": "SOURCE_CHANGED"})
    (problem,) = failed["problems"]
    assert (problem["code"], problem["file"]) == ("SOURCE_CHANGED", file)
    assert problem["expected"].startswith(expected)
    assert problem["actual"].startswith(actual)
    assert "retryImport" in problem["hint"]
    again = await retried(api, "0.0.1")
    assert (again["status"], again["problems"]) == ("NORMAL", [])


async def test_a_file_that_is_written_to_before_it_is_read_fails_the_import(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    package = {**mxnet_package(), **{f"model/data/{number}": b"%d" % number for number in range(30)}}
    source = await upload_job(api, package, algorithm=MXNET)
    folder = await model_folder(api, data_dir)
    async with reading_held(pool, package[f"model/{CONFIG}"]):
        await api.import_version("iris", source)
        await wait_for(lambda: is_waiting(pool))
        (folder / "data" / "9").write_bytes(b"another")
    failed = await api.imported("iris", "0.0.1")
    (problem,) = failed["problems"]
    assert (problem["code"], problem["file"]) == ("SOURCE_CHANGED", "data/9")
    assert problem["expected"].startswith("1 bytes")
    assert problem["actual"].startswith("7 bytes")
    assert (await retried(api, "0.0.1"))["status"] == "NORMAL"


async def is_waiting(pool: Pool) -> bool:
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO stored_blob%'"""
    return bool(await pool.fetchval(waiting))


async def test_a_package_of_many_files_is_copied_and_what_an_attempt_copied_is_not_copied_again(
    api: Api, pool: Pool, data_dir: Path
) -> None:
    many = {f"model/data/{number}": os.urandom(100) for number in range(90)}
    package = {**mxnet_package(), **many, "model/zz.bin": b"the last"}
    source = await upload_job(api, package, algorithm=MXNET)
    folder = await model_folder(api, data_dir)
    async with reading_held(pool, b"the last"):
        await api.import_version("iris", source)
        await wait_for(lambda: is_waiting(pool))
        overwrite_last = folder / "zz.bin"
        overwrite_last.write_bytes(b"another last")
    failed = await api.imported("iris", "0.0.1")
    assert [problem["file"] for problem in failed["problems"]] == ["zz.bin"]
    kept = await pool.fetch("SELECT path, xmin::text FROM model_file ORDER BY path")
    assert len(kept) >= len(package) - 8
    assert (await retried(api, "0.0.1"))["status"] == "NORMAL"
    again = {row["path"]: row["xmin"] for row in await pool.fetch("SELECT path, xmin::text FROM model_file")}
    assert len(again) == len(package)
    assert all(again[row["path"]] == row["xmin"] for row in kept if row["path"] != "zz.bin")
    assert len(blobs(data_dir)) >= len(package)


async def is_noting(pool: Pool) -> bool:
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO model_file%'"""
    return bool(await pool.fetchval(waiting))


async def test_what_is_being_noted_when_the_last_file_is_copied_is_not_lost(api: Api, pool: Pool) -> None:
    many = {f"model/data/{number}": b"%d" % number for number in range(30)}
    package = {**mxnet_package(), **many, "model/zz.bin": b"the last"}
    source = await upload_job(api, package, algorithm=MXNET)
    async with rows_held(pool):
        async with reading_held(pool, b"the last"):
            await api.import_version("iris", source)
            await wait_for(lambda: is_waiting(pool))
            await wait_for(lambda: is_noting(pool))
        await wait_for(lambda: is_copied(api, len(package)))
    assert (await api.imported("iris", "0.0.1"))["status"] == "NORMAL"
    assert len(await files_of(api, "0.0.1")) == len(package)


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:
    """A file system of 12 MiB under the data directory's objects."""
    objects = data_dir / "objects"
    objects.mkdir(mode=0o711)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(objects)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs one that is mounted: {mounted.stderr.decode().strip()}")
    yield objects
    subprocess.run(["umount", str(objects)], check=True)


async def test_a_store_that_is_full_fails_the_import_and_has_nothing_half_written(
    pool: Pool, database_url: str, data_dir: Path, small_disk: Path
) -> None:
    package = {**mxnet_package(), "model/large.bin": os.urandom(7 << 20)}
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        failed = await import_package(api, package)
        assert (failed["status"], failed["operation"]["error"]) == ("IMPORT_FAILED", {"code": "STORE_FULL"})
        (problem,) = failed["problems"]
        assert problem["code"] == "STORE_FULL"
        assert "retryImport" in problem["hint"]
        assert hashlib.sha256(package["model/large.bin"]).hexdigest() not in blobs(data_dir)
        assert not list((small_disk / "blobs" / "incoming").glob("*"))
        assert not [path for path in small_disk.rglob("*") if path.is_file() and "drafts" in path.parts]
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        assert (await retried(api, "0.0.1"))["status"] == "NORMAL"
        assert await event_kinds(api, "0.0.1") == [
            "IMPORT_REQUESTED",
            "IMPORT_FAILED",
            "IMPORT_RETRIED",
            "COPIED",
            "IMPORTED",
        ]
        files: list[dict[str, Any]] = await files_of(api, "0.0.1")
        assert len(files) == len(package)
