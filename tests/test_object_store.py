"""One contract for both stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from artifacts.folder_store import FolderStore
from artifacts.object_store import (
    CHUNK_BYTES,
    PART_BYTES,
    InvalidKey,
    ObjectChanged,
    ObjectNotFound,
    ObjectStore,
    UploadIncomplete,
    UploadNotFound,
    upload_parts,
)
from tests.object_stores import (
    chunks,
    folder_behind_server,
    keys,
    new_bucket,
    read,
    s3_server,
    send,
    uses_of,
)
from tests.plain_http import NO_TLS

KEYS_THAT_LEAD_NOWHERE = [
    "",
    "/absolute",
    "trailing/",
    "double//slash",
    ".",
    "..",
    "../outside",
    "inside/../../outside",
    "inside/./same",
    "nul\0byte",
    "new\nline",
    "lone surrogate \ud800",
    "x" * 256,
    "/".join(["x" * 200] * 6),
]
SEVERAL_PARTS_BYTES = PART_BYTES + 5


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderStore]:
    async with folder_behind_server(tmp_path / "objects") as store:
        yield store


@pytest.fixture
async def s3(s3_url: str) -> AsyncIterator[ObjectStore]:
    async with new_bucket(s3_url) as store:
        yield store


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS) as client:
        yield client


class TestEveryStore:
    async def test_gives_back_what_was_put(self, store: ObjectStore) -> None:
        before = datetime.now(UTC) - timedelta(seconds=2)
        info = await store.put("models/a/model.bin", chunks(b"abc", b"", b"def"))
        assert (info.key, info.size_bytes) == ("models/a/model.bin", 6)
        assert before <= info.modified_at <= datetime.now(UTC) + timedelta(seconds=2)
        assert await store.head("models/a/model.bin") == info
        assert await read(store, "models/a/model.bin") == b"abcdef"

    async def test_holds_empty_objects(self, store: ObjectStore) -> None:
        info = await store.put("empty", chunks())
        assert info.size_bytes == 0
        assert await read(store, "empty") == b""
        assert await read(store, "empty", start_bytes=0, end_bytes=10) == b""

    async def test_reads_ranges(self, store: ObjectStore) -> None:
        await store.put("digits", chunks(b"0123456789"))
        assert await read(store, "digits", start_bytes=3) == b"3456789"
        assert await read(store, "digits", start_bytes=3, end_bytes=5) == b"34"
        assert await read(store, "digits", start_bytes=8, end_bytes=50) == b"89"
        assert await read(store, "digits", start_bytes=5, end_bytes=5) == b""
        assert await read(store, "digits", start_bytes=10) == b""

    async def test_reads_large_objects_in_bounded_chunks(self, store: ObjectStore) -> None:
        data = os.urandom(1 << 20) * 35
        await store.put("large", chunks(data[:10], data[10:]))
        read_chunks = [chunk async for chunk in store.read("large")]
        assert b"".join(read_chunks) == data
        assert max(map(len, read_chunks)) == CHUNK_BYTES
        assert len(read_chunks) == 9

    async def test_can_be_left_while_reading(self, store: ObjectStore) -> None:
        await store.put("large", chunks(bytes(3 * CHUNK_BYTES)))
        async with aclosing(store.read("large")) as stream:
            assert len(await anext(stream)) == CHUNK_BYTES
        assert await store.head("large") is not None

    async def test_says_what_is_not_there(self, store: ObjectStore) -> None:
        await store.put("folder/file", chunks(b"x"))
        for key in ("missing", "folder", "folder/file/below", "folder/missing"):
            assert await store.head(key) is None
            with pytest.raises(ObjectNotFound):
                await read(store, key)
            with pytest.raises(ObjectNotFound):
                await store.open_seekable(key)
            await store.delete(key)
        with pytest.raises(ObjectNotFound):
            await store.copy("missing", "copy", if_match=None)
        with pytest.raises(ObjectNotFound):
            await store.move("missing", "moved")
        assert await keys(store) == ["folder/file"]

    async def test_refuses_keys_that_lead_elsewhere(self, store: ObjectStore) -> None:
        await store.put("a", chunks(b"x"))
        for key in KEYS_THAT_LEAD_NOWHERE:
            for use in uses_of(store, key):
                with pytest.raises(InvalidKey):
                    await use
        assert await keys(store) == ["a"]

    async def test_refuses_to_list_elsewhere(self, store: ObjectStore) -> None:
        for prefix in ("/", "..", "../", "a//", "a/../"):
            with pytest.raises(InvalidKey):
                await keys(store, prefix)

    async def test_tells_a_changed_object(self, store: ObjectStore) -> None:
        first = await store.put("a", chunks(b"first"))
        assert await read(store, "a", if_match=first.etag) == b"first"
        second = await store.put("a", chunks(b"other"))
        assert second.etag != first.etag
        with pytest.raises(ObjectChanged):
            await read(store, "a", if_match=first.etag)
        with pytest.raises(ObjectChanged):
            await store.copy("a", "b", if_match=first.etag)
        assert await store.head("b") is None

    async def test_keeps_the_old_object_when_a_put_fails(self, store: ObjectStore) -> None:
        async def broken() -> AsyncGenerator[bytes, None]:
            yield bytes(20 << 20)
            raise RuntimeError("the source broke off")

        await store.put("a", chunks(b"old"))
        with pytest.raises(RuntimeError, match="broke off"):
            await store.put("a", broken())
        assert await read(store, "a") == b"old"
        assert await keys(store) == ["a"]

    async def test_keeps_the_old_object_when_a_put_is_cancelled(self, store: ObjectStore) -> None:
        reached = asyncio.Event()

        async def endless() -> AsyncGenerator[bytes, None]:
            yield bytes(20 << 20)
            reached.set()
            await asyncio.Event().wait()

        await store.put("a", chunks(b"old"))
        task = asyncio.create_task(store.put("a", endless()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read(store, "a") == b"old"
        assert await keys(store) == ["a"]

    async def test_lists_by_prefix_in_order_of_keys(self, store: ObjectStore) -> None:
        names = ["a-b", "a/b", "a/é", "a b/c", "a", "b/1", "b/10", "b/2", "b/.hidden", "ab/c"]
        stored = [name for name in names if name != "a"]
        for name in stored:
            await store.put(name, chunks(b"x"))
        assert await keys(store) == sorted(stored)
        assert await keys(store, "a/") == ["a/b", "a/é"]
        assert await keys(store, "b/1") == ["b/1", "b/10"]
        assert await keys(store, "a") == ["a b/c", "a-b", "a/b", "a/é", "ab/c"]
        assert await keys(store, "missing/") == []
        assert await keys(store, "a/b/c") == []

    @pytest.mark.parametrize("store", ["folder", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
    async def test_lists_more_than_a_thousand(self, store: ObjectStore) -> None:
        slots = asyncio.Semaphore(16)

        async def put(number: int) -> None:
            async with slots:
                await store.put(f"many/{number:04}", chunks(b"x"))

        async with asyncio.TaskGroup() as group:
            for number in range(1010):
                group.create_task(put(number))
        assert await keys(store, "many/") == [f"many/{number:04}" for number in range(1010)]

    async def test_takes_unicode_spaces_and_signs(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        for key in ("模型/数据 1.bin", "a b/c+d&e=f?g#h%20i;j.bin", "quote'\"/back\\slash", "ümläut/…"):
            await store.put(key, chunks(key.encode()))
            assert await keys(store, key) == [key]
            await store.copy(key, f"copies/{key}", if_match=None)
            assert await read(store, f"copies/{key}") == key.encode()
            answer = await client.get(await store.presign_get(key, expires_seconds=60))
            assert (answer.status_code, answer.content) == (200, key.encode())

    async def test_copies_moves_and_deletes(self, store: ObjectStore) -> None:
        info = await store.put("a/source", chunks(b"bytes"))
        await store.copy("a/source", "b/copy", if_match=info.etag)
        await store.move("a/source", "c/moved")
        assert await keys(store) == ["b/copy", "c/moved"]
        assert await read(store, "c/moved") == await read(store, "b/copy") == b"bytes"
        await store.delete("b/copy")
        await store.delete("b/copy")
        assert await keys(store) == ["c/moved"]

    async def test_opens_a_seekable_file_for_a_thread(self, store: ObjectStore) -> None:
        data = os.urandom(3 << 20)
        await store.put("data", chunks(data))
        file = await store.open_seekable("data")

        def use() -> None:
            with file:
                assert file.seek(-10, os.SEEK_END) == len(data) - 10
                assert file.read() == data[-10:]
                assert file.seek(1_000_000) == 1_000_000
                assert file.read(5) == data[1_000_000:1_000_005]
                assert file.seek(0) == 0
                assert file.read() == data
                assert file.read(1) == b""

        await asyncio.to_thread(use)

    async def test_downloads_under_a_name(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        await store.put("a/model.bin", chunks(b"0123456789"))
        url = await store.presign_get("a/model.bin", expires_seconds=60, filename="模型 1.bin")
        answer = await client.get(url)
        assert answer.content == b"0123456789"
        assert answer.headers["content-disposition"].lower().startswith("attachment; filename*=utf-8''%e6%a8%a1")
        part = await client.get(url, headers={"range": "bytes=2-4"})
        assert (part.status_code, part.content) == (206, b"234")

    async def test_answers_a_check(self, store: ObjectStore) -> None:
        await store.check()

    async def test_signs_for_a_week_at_most(self, store: ObjectStore) -> None:
        for expires_seconds in (0, -1, 8 * 24 * 3600):
            with pytest.raises(ValueError, match="lives"):
                await store.presign_get("a", expires_seconds=expires_seconds)


class TestUploads:
    async def test_make_one_object_of_parts(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        upload_id = await store.begin_upload("a/big", SEVERAL_PARTS_BYTES)
        parts = store.parts(SEVERAL_PARTS_BYTES)
        assert [part.size_bytes for part in parts] == [PART_BYTES, 5]
        await send(client, store, "a/big", upload_id, *reversed(parts))
        stored = await store.stored_parts("a/big", upload_id)
        assert [(part.number, part.size_bytes) for part in stored] == [(1, PART_BYTES), (2, 5)]
        assert await store.head("a/big") is None
        info = await store.complete_upload("a/big", upload_id, SEVERAL_PARTS_BYTES)
        assert info == await store.head("a/big")
        assert info.size_bytes == SEVERAL_PARTS_BYTES
        assert await read(store, "a/big", start_bytes=PART_BYTES - 2) == b"\1\1" + b"\2" * 5
        assert await store.complete_upload("a/big", upload_id, SEVERAL_PARTS_BYTES) == info

    async def test_take_empty_files(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        upload_id = await store.begin_upload("empty", 0)
        await send(client, store, "empty", upload_id, *store.parts(0))
        assert (await store.complete_upload("empty", upload_id, 0)).size_bytes == 0
        assert await read(store, "empty") == b""

    async def test_name_the_parts_that_are_missing(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        upload_id = await store.begin_upload("a", SEVERAL_PARTS_BYTES)
        first, second = store.parts(SEVERAL_PARTS_BYTES)
        with pytest.raises(UploadIncomplete) as nothing:
            await store.complete_upload("a", upload_id, SEVERAL_PARTS_BYTES)
        assert nothing.value.missing == [1, 2]
        await send(client, store, "a", upload_id, second)
        with pytest.raises(UploadIncomplete) as half:
            await store.complete_upload("a", upload_id, SEVERAL_PARTS_BYTES)
        assert half.value.missing == [1]
        assert await store.head("a") is None
        await send(client, store, "a", upload_id, first)
        await store.complete_upload("a", upload_id, SEVERAL_PARTS_BYTES)

    async def test_let_a_part_be_sent_again(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        upload_id = await store.begin_upload("a", 3)
        (part,) = store.parts(3)
        await send(client, store, "a", upload_id, part)
        url = await store.presign_part("a", upload_id, part, expires_seconds=60)
        assert (await client.put(url, content=b"new")).status_code == 200
        await store.complete_upload("a", upload_id, 3)
        assert await read(store, "a") == b"new"

    async def test_end_when_aborted(self, store: ObjectStore, client: httpx.AsyncClient) -> None:
        upload_id = await store.begin_upload("a", 3)
        await send(client, store, "a", upload_id, *store.parts(3))
        await store.abort_upload("a", upload_id)
        await store.abort_upload("a", upload_id)
        with pytest.raises(UploadNotFound):
            await store.stored_parts("a", upload_id)
        with pytest.raises(UploadNotFound):
            await store.complete_upload("a", upload_id, 3)
        assert await store.head("a") is None

    async def test_are_not_objects_until_complete(self, store: ObjectStore) -> None:
        await store.begin_upload("a", 3)
        assert await keys(store) == []

    def test_are_cut_into_a_thousand_parts_at_most(self) -> None:
        for size_bytes in (0, 1, PART_BYTES, PART_BYTES + 1, 1000 * PART_BYTES, 1000 * PART_BYTES + 1, 5 << 40):
            parts = upload_parts(size_bytes)
            assert len(parts) <= 1000
            assert sum(part.size_bytes for part in parts) == size_bytes
            assert [part.number for part in parts] == list(range(1, len(parts) + 1))
            assert all(a.offset_bytes + a.size_bytes == b.offset_bytes for a, b in pairwise(parts))
