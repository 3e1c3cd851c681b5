"""Imported bytes: stored once, under their digest, whatever the stores are; and packages made of them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from artifacts.blob import INCOMING_PREFIX, Blob, BlobStore, blob_key
from artifacts.object_store import InvalidKey, ObjectChanged, ObjectNotFound, ObjectStore
from artifacts.package_directory import FILES_AT_ONCE, ArtifactDrift, PackageEntry, materialise
from tests.object_stores import chunks, folder_store, keys, new_bucket, opened, read, s3_server

DATA = os.urandom(1 << 20) * 18 + b"the end"
DIGEST = hashlib.sha256(DATA).hexdigest()
PROJECT = Path(__file__).parents[1]
MAX_INGEST_BYTES = 150 << 20


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[ObjectStore]:
    async with opened(folder_store(tmp_path / "objects")) as store:
        yield store


@pytest.fixture
async def other_folder(tmp_path: Path) -> AsyncIterator[ObjectStore]:
    async with opened(folder_store(tmp_path / "other", name="other")) as store:
        yield store


@pytest.fixture
async def s3(s3_url: str) -> AsyncIterator[ObjectStore]:
    async with new_bucket(s3_url) as store:
        yield store


@pytest.fixture(
    params=[("folder", "folder"), ("other_folder", "folder"), ("s3", "folder"), ("s3", "s3"), ("folder", "s3")]
)
def source_and_blobs(request: pytest.FixtureRequest) -> tuple[ObjectStore, BlobStore]:
    source, target = (request.getfixturevalue(name) for name in request.param)
    return source, BlobStore(target)


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest) -> BlobStore:
    return BlobStore(request.getfixturevalue(request.param))


async def ingest(blobs: BlobStore, data: bytes) -> Blob:
    info = await blobs.store.put("source", chunks(data))
    return await blobs.ingest(blobs.store, "source", etag=info.etag)


async def entry(blobs: BlobStore, path: str, data: bytes) -> PackageEntry:
    blob = await ingest(blobs, data)
    return PackageEntry(path, blob.size_bytes, blob.sha256)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


class TestIngest:
    async def test_keeps_the_bytes_under_their_digest(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))
        progress: list[int] = []
        blob = await blobs.ingest(source, "job/model.bin", etag=info.etag, on_progress=progress.append)
        assert blob == Blob(DIGEST, len(DATA))
        assert progress == sorted(progress)
        assert progress[-1] == len(DATA)
        assert await read(blobs.store, blob_key(DIGEST)) == DATA
        assert await read(source, "job/model.bin") == DATA
        assert await keys(blobs.store, "blobs/") == [blob_key(DIGEST)]

    async def test_mends_what_was_damaged(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))
        await blobs.ingest(source, "job/model.bin", etag=info.etag)
        await blobs.store.put(blob_key(DIGEST), chunks(bytes(len(DATA))))
        await blobs.ingest(source, "job/model.bin", etag=info.etag)
        assert await blobs.actual(DIGEST) == Blob(DIGEST, len(DATA))
        assert await keys(blobs.store, "blobs/") == [blob_key(DIGEST)]

    async def test_replaces_a_blob_that_is_cut_short(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        await blobs.store.put(blob_key(DIGEST), chunks(DATA[:100]))
        info = await source.put("job/model.bin", chunks(DATA))
        await blobs.ingest(source, "job/model.bin", etag=info.etag)
        assert await read(blobs.store, blob_key(DIGEST)) == DATA

    async def test_refuses_a_source_that_changed(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(b"seen"))
        await source.put("job/model.bin", chunks(b"new!"))
        with pytest.raises(ObjectChanged):
            await blobs.ingest(source, "job/model.bin", etag=info.etag)
        with pytest.raises(ObjectNotFound):
            await blobs.ingest(source, "job/missing.bin", etag=info.etag)
        assert await keys(blobs.store, "blobs/") == []

    async def test_refuses_a_source_that_changes_meanwhile(self, blobs: BlobStore) -> None:
        info = await blobs.store.put("model.bin", chunks(DATA))
        loop = asyncio.get_running_loop()
        changes: list[asyncio.Task[object]] = []

        def change(_: int) -> None:
            if not changes:
                changes.append(loop.create_task(blobs.store.put("model.bin", chunks(DATA[::-1]))))

        try:
            blob = await blobs.ingest(blobs.store, "model.bin", etag=info.etag, on_progress=change)
        except ObjectChanged:
            assert await keys(blobs.store, "blobs/") == []
        else:
            # A folder goes on reading the file that it opened: what it saw is what it keeps.
            assert await read(blobs.store, blob_key(blob.sha256)) == DATA
        await changes[0]

    async def test_leaves_nothing_behind_when_cancelled(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))
        reached = asyncio.Event()
        task = asyncio.create_task(
            blobs.ingest(source, "job/model.bin", etag=info.etag, on_progress=lambda _: reached.set())
        )
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await keys(blobs.store, "blobs/") == []

    async def test_of_the_same_bytes_at_once_ends_well(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(blobs.ingest(source, "job/model.bin", etag=info.etag))
        assert await keys(blobs.store, "blobs/") == [blob_key(DIGEST)]
        assert await read(blobs.store, blob_key(DIGEST)) == DATA

    async def test_takes_empty_files(self, source_and_blobs: tuple[ObjectStore, BlobStore]) -> None:
        source, blobs = source_and_blobs
        info = await source.put("empty", chunks())
        blob = await blobs.ingest(source, "empty", etag=info.etag)
        assert blob == Blob(hashlib.sha256().hexdigest(), 0)
        assert await blobs.exists(blob.sha256)

    async def test_reserves_what_it_has_read_before_it_looks_whether_it_is_there(
        self, source_and_blobs: tuple[ObjectStore, BlobStore]
    ) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))
        kept = await blobs.ingest(source, "job/model.bin", etag=info.etag)
        reserved: list[Blob] = []

        async def delete_first(blob: Blob) -> None:
            reserved.append(blob)
            await blobs.delete(blob.sha256)

        assert await blobs.ingest(source, "job/model.bin", etag=info.etag, reserve=delete_first) == kept
        assert reserved == [kept]
        assert await read(blobs.store, blob_key(DIGEST)) == DATA

    async def test_of_a_reservation_that_fails_leaves_nothing(
        self, source_and_blobs: tuple[ObjectStore, BlobStore]
    ) -> None:
        source, blobs = source_and_blobs
        info = await source.put("job/model.bin", chunks(DATA))

        async def fail(_: Blob) -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await blobs.ingest(source, "job/model.bin", etag=info.etag, reserve=fail)
        with pytest.raises(ConnectionError):
            await blobs.keep(DATA, reserve=fail)
        assert await keys(blobs.store, "blobs/") == []

    async def test_after_a_kill_starts_over(self, tmp_path: Path, folder: ObjectStore) -> None:
        info = await folder.put("model.bin", chunks(DATA))
        blobs = BlobStore(folder)
        with subprocess.Popen(
            [sys.executable, "-c", INGEST, str(tmp_path / "objects"), info.etag, "stop"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert await asyncio.to_thread(child.stdout.readline) == b"reading\n"
            child.kill()
        assert await keys(folder, "blobs/") == []
        await blobs.ingest(folder, "model.bin", etag=info.etag)
        assert await keys(folder, "blobs/") == [blob_key(DIGEST)]

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux' /proc")
    async def test_of_a_large_file_takes_little_memory(self, tmp_path: Path, folder: ObjectStore) -> None:
        info = await folder.put("model.bin", chunks(*[os.urandom(1 << 20)] * 300))
        child = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", INGEST, str(tmp_path / "objects"), info.etag, "measure"],
            cwd=PROJECT,
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        )
        assert int(child.stdout) << 10 < MAX_INGEST_BYTES


class TestKeep:
    @pytest.mark.parametrize("data", [b"", b"x", DATA])
    async def test_stores_bytes_once_under_their_digest(self, blobs: BlobStore, data: bytes) -> None:
        sha256 = hashlib.sha256(data).hexdigest()
        for _ in range(2):
            assert await blobs.keep(data) == Blob(sha256, len(data))
        assert await keys(blobs.store) == [blob_key(sha256)]
        assert await read(blobs.store, blob_key(sha256)) == data

    async def test_writes_again_what_was_deleted_while_it_was_reserved(self, blobs: BlobStore) -> None:
        async def delete(blob: Blob) -> None:
            await blobs.delete(blob.sha256)

        blob = await blobs.keep(b"bytes")
        assert await blobs.keep(b"bytes", reserve=delete) == blob
        assert await read(blobs.store, blob_key(blob.sha256)) == b"bytes"


async def test_the_actual_digest_is_that_of_the_stored_bytes(blobs: BlobStore) -> None:
    blob = await blobs.keep(DATA)
    progress: list[int] = []
    assert await blobs.actual(blob.sha256, progress.append) == blob
    assert progress[-1] == len(DATA)
    await blobs.store.put(blob_key(blob.sha256), chunks(b"another"))
    assert await blobs.actual(blob.sha256) == Blob(hashlib.sha256(b"another").hexdigest(), 7)
    await blobs.delete(blob.sha256)
    with pytest.raises(ObjectNotFound):
        await blobs.actual(blob.sha256)


INGEST = """
import asyncio, re, sys
from pathlib import Path
from artifacts.blob import BlobStore
from artifacts.folder_store import FolderStore

root, etag, how = sys.argv[1:]

def report(read_bytes):
    if how == "stop":
        print("reading", flush=True)
        sys.stdin.read()

async def main():
    store = FolderStore(Path(root), public_url="", signing_key=bytes(32))
    await store.open()
    await BlobStore(store).ingest(store, "model.bin", etag=etag, on_progress=report)

asyncio.run(main())
# Not ru_maxrss, which begins with what the parent had.
print(*re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()))
"""


class TestBlobStore:
    async def test_reads_ranges_and_seeks(self, blobs: BlobStore) -> None:
        await ingest(blobs, DATA)
        assert b"".join([chunk async for chunk in blobs.read(DIGEST, start_bytes=len(DATA) - 3)]) == b"end"
        file = await blobs.open_seekable(DIGEST)

        def tail() -> bytes:
            with file:
                file.seek(-7, os.SEEK_END)
                return file.read()

        assert await asyncio.to_thread(tail) == b"the end"

    async def test_deletes(self, blobs: BlobStore) -> None:
        await ingest(blobs, b"x")
        (key,) = await keys(blobs.store, "blobs/")
        digest = key.rpartition("/")[2]
        assert await blobs.exists(digest)
        await blobs.delete(digest)
        await blobs.delete(digest)
        assert not await blobs.exists(digest)

    async def test_discards_what_was_abandoned(self, blobs: BlobStore) -> None:
        await ingest(blobs, b"x")
        await blobs.store.put(f"{INCOMING_PREFIX}abandoned", chunks(b"y"))
        assert await blobs.discard_abandoned(older_than=timedelta(hours=1)) == 0
        assert await blobs.discard_abandoned(older_than=timedelta(seconds=-2)) == 1
        assert await keys(blobs.store, INCOMING_PREFIX) == []
        assert len(await keys(blobs.store, "blobs/")) == 1

    def test_knows_a_digest(self) -> None:
        for text in ("", "../" * 22, "A" * 64, "a" * 63, "a" * 64 + "\n"):
            with pytest.raises(ValueError, match="SHA-256"):
                blob_key(text)


class TestMaterialise:
    async def test_writes_the_files_for_everybody_to_read(self, blobs: BlobStore, tmp_path: Path) -> None:
        files = [
            await entry(blobs, "config.json", b"{}"),
            await entry(blobs, "variables/data 模型", DATA),
            await entry(blobs, "empty", b""),
        ]
        directory = tmp_path / "packages/1/model"
        before = os.umask(0o077)
        try:
            await materialise(blobs, files, directory)
        finally:
            os.umask(before)
        assert contents(directory) == {"config.json": b"{}", "variables/data 模型": DATA, "empty": b""}
        assert {path.stat().st_mode & 0o777 for path in directory.rglob("*") if path.is_file()} == {0o644}
        assert {path.stat().st_mode & 0o777 for path in (directory, directory / "variables")} == {0o755}
        assert [path.name for path in directory.parent.iterdir() if "partial" in path.name] == []

    async def test_leaves_alone_what_is_right(self, blobs: BlobStore, tmp_path: Path) -> None:
        files = [await entry(blobs, "a/b", b"bytes")]
        await materialise(blobs, files, tmp_path / "model")
        before = (tmp_path / "model/a/b").stat()
        await materialise(blobs, files, tmp_path / "model")
        assert (tmp_path / "model/a/b").stat() == before

    async def test_replaces_what_is_wrong(self, blobs: BlobStore, tmp_path: Path) -> None:
        files = [await entry(blobs, "a/b", b"bytes")]
        directory = tmp_path / "model"
        (tmp_path / "elsewhere").write_bytes(b"bytes")
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "elsewhere")

        def damages() -> Iterator[Callable[[], object]]:
            yield lambda: (directory / "a/b").write_bytes(b"BYTES")
            yield (directory / "a/extra").touch
            yield (directory / "a/b").unlink
            yield lambda: (directory / "a/b").rename(directory / "c")
            yield lambda: (directory / "link").symlink_to(tmp_path)
            yield lambda: link.replace(directory / "a/b")

        await materialise(blobs, files, directory)
        for damage in damages():
            damage()
            await materialise(blobs, files, directory)
            assert contents(directory) == {"a/b": b"bytes"}
            assert not (directory / "a/b").is_symlink()
        assert (tmp_path / "elsewhere").read_bytes() == b"bytes"

    async def test_tells_stored_bytes_that_are_not_the_imported_ones(self, blobs: BlobStore, tmp_path: Path) -> None:
        file = await entry(blobs, "model.pkl", b"bytes")
        await blobs.store.put(blob_key(file.sha256), chunks(b"BYTES"))
        with pytest.raises(ArtifactDrift) as drift:
            await materialise(blobs, [file], tmp_path / "model")
        assert drift.value.file == "model.pkl"
        assert drift.value.expected == file.sha256
        assert drift.value.actual == hashlib.sha256(b"BYTES").hexdigest()
        assert not (tmp_path / "model").exists()

    async def test_says_when_a_blob_is_gone(self, blobs: BlobStore, tmp_path: Path) -> None:
        file = await entry(blobs, "model.pkl", b"bytes")
        await blobs.delete(file.sha256)
        with pytest.raises(ArtifactDrift, match="gone") as drift:
            await materialise(blobs, [file], tmp_path / "model")
        assert (drift.value.file, drift.value.expected, drift.value.actual) == ("model.pkl", file.sha256, None)
        assert not (tmp_path / "model").exists()

    @pytest.mark.parametrize("path", ["../escaped", "/absolute", "a/../../b", "", "a//b", "nul\0"])
    async def test_refuses_paths_that_lead_outside(self, folder: ObjectStore, tmp_path: Path, path: str) -> None:
        blobs = BlobStore(folder)
        file = await entry(blobs, path, b"bytes")
        with pytest.raises(InvalidKey):
            await materialise(blobs, [file], tmp_path / "packages/model")
        assert not (tmp_path / "packages").exists()

    async def test_refuses_a_file_that_is_also_a_directory(self, folder: ObjectStore, tmp_path: Path) -> None:
        blobs = BlobStore(folder)
        with pytest.raises(InvalidKey):
            await materialise(blobs, [await entry(blobs, "a", b"x"), await entry(blobs, "a/b", b"x")], tmp_path / "m")

    async def test_at_once_gives_everybody_the_same(self, blobs: BlobStore, tmp_path: Path) -> None:
        files = [await entry(blobs, "a", DATA), await entry(blobs, "b/c", b"x")]
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(materialise(blobs, files, tmp_path / "model"))
        assert contents(tmp_path / "model") == {"a": DATA, "b/c": b"x"}

    async def test_tidies_up_after_a_killed_process(self, blobs: BlobStore, tmp_path: Path) -> None:
        (tmp_path / ".model.partial-0").mkdir()
        (tmp_path / ".model.partial-0/half").write_bytes(b"x")
        await materialise(blobs, [await entry(blobs, "a", b"x")], tmp_path / "model")
        assert not (tmp_path / ".model.partial-0").exists()

    async def test_fetches_a_few_files_at_once_and_never_all(self, tmp_path: Path) -> None:
        """The read of any file waits until another one is under way."""
        async with opened(folder_store(tmp_path / "objects")) as folder:
            files = [await entry(BlobStore(folder), f"{number}", b"%d" % number) for number in range(20)]
            meeting = MeetingStore(folder)
            async with asyncio.timeout(30):
                await materialise(BlobStore(cast(ObjectStore, meeting)), files, tmp_path / "model")
        assert len(contents(tmp_path / "model")) == 20
        assert 2 <= meeting.most_at_once <= FILES_AT_ONCE

    async def test_finds_a_file_that_is_also_a_directory_among_names_that_sort_between(
        self, folder: ObjectStore, tmp_path: Path
    ) -> None:
        blobs = BlobStore(folder)
        with pytest.raises(InvalidKey, match="'a'"):
            await materialise(blobs, [await entry(blobs, path, b"x") for path in ("a", "a-b", "a/b")], tmp_path / "m")
        await materialise(blobs, [await entry(blobs, path, b"x") for path in ("a", "a-b/c", "ab")], tmp_path / "m")


class MeetingStore:
    """A folder whose reads go on only in pairs."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._pair = asyncio.Barrier(2)
        self._reading = 0
        self.most_at_once = 0

    async def read(
        self, key: str, *, start_bytes: int = 0, end_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        self._reading += 1
        self.most_at_once = max(self.most_at_once, self._reading)
        await self._pair.wait()
        async with aclosing(self._store.read(key, start_bytes=start_bytes, end_bytes=end_bytes)) as chunks:
            async for chunk in chunks:
                yield chunk
        self._reading -= 1
