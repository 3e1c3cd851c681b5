"""What the folder store owes besides the contract of every store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from artifacts.folder_store import FolderStore
from artifacts.object_store import (
    CHUNK_BYTES,
    UNLISTED_LIMIT,
    InvalidKey,
    ObjectChanged,
    ObjectNotFound,
    PartSizeWrong,
    StoreUnavailable,
    UploadBusy,
    UploadIncomplete,
    UploadNotFound,
)
from tests.object_stores import (
    chunks,
    folder_behind_server,
    folder_store,
    keys,
    read,
    send,
    uses_of,
)
from tests.plain_http import NO_TLS


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderStore]:
    async with folder_behind_server(tmp_path / "objects") as store:
        yield store


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS) as client:
        yield client


async def test_tells_what_it_leaves_out_of_a_listing(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put("a/file", chunks(b"x"))
    root = tmp_path / "objects"
    (root / "a/link").symlink_to(root / "a")
    (root / "a/line\nbreak").write_bytes(b"x")
    os.mkfifo(root / "a/pipe")
    (root / "b").mkdir()
    for number in range(UNLISTED_LIMIT + 1):
        (root / f"b/{number}").symlink_to("nowhere")
    assert [(file.path, file.reason) for file in await folder.unlisted("a/")] == [
        ("a/line\nbreak", "has a name that cannot be kept"),
        ("a/link", "is a symbolic link"),
        ("a/pipe", "is no regular file"),
    ]
    assert len(await folder.unlisted("")) == UNLISTED_LIMIT


async def test_neither_follows_nor_lists_symbolic_links(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put("a", chunks(b"x"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    root = tmp_path / "objects"
    (root / "directory").symlink_to(tmp_path / "secret")
    (root / "file").symlink_to(tmp_path / "secret/file")
    for key in ("directory/file", "directory/new", "file"):
        for use in uses_of(folder, key):
            with pytest.raises(InvalidKey):
                await use
    with pytest.raises(InvalidKey):
        await keys(folder, "directory/")
    assert await keys(folder) == ["a"]
    assert (tmp_path / "secret/file").read_text() == "secret"


async def test_keeps_its_own_folder_out_of_reach(folder: FolderStore) -> None:
    await folder.put("a", chunks(b"x"))
    upload_id = await folder.begin_upload("b", 1)
    for key in (f".modelyard/uploads/{upload_id}/data", ".Modelyard/x"):
        for use in uses_of(folder, key):
            with pytest.raises(InvalidKey):
                await use
    assert await keys(folder, ".m") == []


async def test_never_waits_for_a_pipe(folder: FolderStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "objects/pipe")
    with pytest.raises(ObjectNotFound):
        await read(folder, "pipe")
    assert await keys(folder) == []


async def test_has_no_object_below_an_object(folder: FolderStore) -> None:
    await folder.put("a/b", chunks(b"x"))
    with pytest.raises(InvalidKey):
        await folder.put("a/b/c", chunks(b"x"))
    with pytest.raises(InvalidKey):
        await folder.put("a", chunks(b"x"))
    assert await keys(folder) == ["a/b"]


async def test_leaves_no_empty_folders(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put("a/b/c", chunks(b"x"))
    await folder.delete("a/b/c")
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [".modelyard"]


async def test_tells_a_file_that_is_written_to_while_it_is_read(folder: FolderStore, tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "objects/a").open("r+b") as file:
            file.write(b"changed")

    info = await folder.put("a", chunks(bytes(3 * CHUNK_BYTES)))
    with pytest.raises(ObjectChanged):
        await read_while(folder.read("a", if_match=info.etag), write)


async def test_tells_a_file_that_is_cut_while_it_is_read(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put("a", chunks(bytes(5 * CHUNK_BYTES)))
    with pytest.raises(ObjectChanged):
        await read_while(folder.read("a"), lambda: os.truncate(tmp_path / "objects/a", CHUNK_BYTES))


async def read_while(stream: AsyncGenerator[bytes, None], change: Callable[[], None]) -> None:
    async for _ in stream:
        change()


async def test_is_closed_to_other_users(folder: FolderStore, tmp_path: Path) -> None:
    await folder.put("a/b", chunks(b"x"))
    assert (tmp_path / "objects/a/b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "objects/a").stat().st_mode & 0o777 == 0o700


async def test_forgets_what_was_left_behind_long_ago(folder: FolderStore, tmp_path: Path) -> None:
    hidden = tmp_path / "objects/.modelyard"
    old_upload, new_upload = await folder.begin_upload("a", 1), await folder.begin_upload("b", 1)
    (hidden / "drafts/old").write_bytes(b"x")
    (hidden / "drafts/new").write_bytes(b"x")
    long_ago = datetime.now(UTC).timestamp() - 8 * 24 * 3600
    for path in (
        hidden / "drafts/old",
        *(hidden / "uploads" / old_upload).iterdir(),
        hidden / "uploads" / old_upload,
    ):
        os.utime(path, (long_ago, long_ago))
    await folder.open()
    assert [path.name for path in (hidden / "drafts").iterdir()] == ["new"]
    assert [path.name for path in (hidden / "uploads").iterdir()] == [new_upload]


async def test_is_unavailable_when_its_folder_is_gone(folder: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable):
        await folder.check()
    for use in (folder.head("a"), read(folder, "a"), folder.put("a", chunks(b"x")), keys(folder)):
        with pytest.raises(StoreUnavailable):
            await use


async def test_is_shared_by_processes(folder: FolderStore, tmp_path: Path, client: httpx.AsyncClient) -> None:
    other = folder_store(tmp_path / "objects")
    upload_id = await other.begin_upload("a", 3)
    await send(client, folder, "a", upload_id, *folder.parts(3))
    assert (await other.complete_upload("a", upload_id, 3)).size_bytes == 3


async def test_writes_a_part_once_at_a_time(folder: FolderStore) -> None:
    upload_id = await folder.begin_upload("a", 3)
    reached = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        reached.set()
        await asyncio.Event().wait()
        yield b""

    task = asyncio.create_task(folder.write_part(upload_id, 1, slow()))
    await reached.wait()
    with pytest.raises(UploadBusy):
        await folder.write_part(upload_id, 1, chunks(b"abc"))
    with pytest.raises(UploadIncomplete):
        await folder.complete_upload("a", upload_id, 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await folder.write_part(upload_id, 1, chunks(b"abc"))
    await folder.complete_upload("a", upload_id, 3)
    assert await read(folder, "a") == b"abc"


async def test_takes_a_part_back_when_it_is_sent_again_and_breaks_off(folder: FolderStore) -> None:
    upload_id = await folder.begin_upload("a", 3)
    await folder.write_part(upload_id, 1, chunks(b"abc"))
    with pytest.raises(PartSizeWrong):
        await folder.write_part(upload_id, 1, chunks(b"x"))
    with pytest.raises(UploadIncomplete):
        await folder.complete_upload("a", upload_id, 3)


async def test_completes_after_a_crash_between_placing_and_tidying(folder: FolderStore, tmp_path: Path) -> None:
    upload_id = await folder.begin_upload("a", 3)
    await folder.write_part(upload_id, 1, chunks(b"abc"))
    upload = tmp_path / "objects/.modelyard/uploads" / upload_id
    (upload / "data").rename(tmp_path / "objects/a")
    assert (await folder.complete_upload("a", upload_id, 3)).size_bytes == 3
    assert not upload.exists()


async def test_asks_for_a_part_again_whose_marker_a_crash_cut_short(folder: FolderStore, tmp_path: Path) -> None:
    upload_id = await folder.begin_upload("a", 3)
    await folder.write_part(upload_id, 1, chunks(b"abc"))
    (marker,) = (tmp_path / "objects/.modelyard/uploads" / upload_id).glob("part-*")
    marker.write_bytes(marker.read_bytes()[:10])
    assert await folder.stored_parts("a", upload_id) == []
    with pytest.raises(UploadIncomplete):
        await folder.complete_upload("a", upload_id, 3)


async def test_refuses_ids_that_lead_elsewhere(folder: FolderStore) -> None:
    for upload_id in ("", "..", "../drafts", "0" * 31, "0" * 32):
        with pytest.raises(UploadNotFound):
            await folder.stored_parts("a", upload_id)


async def test_knows_an_upload_by_its_key(folder: FolderStore) -> None:
    upload_id = await folder.begin_upload("a", 3)
    with pytest.raises(UploadNotFound):
        await folder.complete_upload("b", upload_id, 3)
    await folder.abort_upload("b", upload_id)
    assert await folder.stored_parts("a", upload_id) == []
