"""The folder store's signed URLs, as a client sees them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from artifacts.folder_store import FolderStore
from artifacts.object_store import (
    UploadPart,
)
from artifacts.signed_url import UrlSigner
from tests.object_stores import (
    SIGNING_KEY,
    chunks,
    folder_behind_server,
    folder_store,
    storage_server,
)
from tests.plain_http import NO_TLS

PROJECT = Path(__file__).parents[1]
MAX_SERVER_BYTES = 150 << 20


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[FolderStore]:
    async with folder_behind_server(tmp_path / "objects") as store:
        yield store


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, verify=NO_TLS) as client:
        yield client


@pytest.fixture
async def part_url(folder: FolderStore) -> httpx.URL:
    upload_id = await folder.begin_upload("a", 3)
    return httpx.URL(await folder.presign_part("a", upload_id, UploadPart(1, 0, 3), expires_seconds=60))


@pytest.fixture
async def object_url(folder: FolderStore) -> httpx.URL:
    await folder.put("a.json", chunks(b"{}"))
    return httpx.URL(await folder.presign_get("a.json", expires_seconds=60, filename="a.json"))


async def test_answer_text_and_bytes_as_what_they_are(folder: FolderStore, client: httpx.AsyncClient) -> None:
    await folder.put("page.html", chunks(b"<script>"))
    await folder.put("code.py", chunks(b"pass"))
    page = await client.get(await folder.presign_get("page.html", expires_seconds=60))
    code = await client.get(await folder.presign_get("code.py", expires_seconds=60))
    assert page.headers["content-type"] == "application/octet-stream"
    assert code.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in page.headers


async def test_allow_nothing_but_what_was_signed(object_url: httpx.URL, client: httpx.AsyncClient) -> None:
    assert (await client.get(object_url)).status_code == 200
    tampered = [
        object_url.copy_with(path="/storage/objects/default/b.json"),
        object_url.copy_with(path="/storage/objects/other/a.json"),
        object_url.copy_set_param("expires", "99999999999"),
        object_url.copy_set_param("filename", "b.exe"),
        object_url.copy_remove_param("filename"),
        object_url.copy_set_param("signature", "0" * 64),
        object_url.copy_set_param("signature", "é"),
        object_url.copy_remove_param("signature"),
        object_url.copy_add_param("size", "1"),
        object_url.copy_add_param("expires", "99999999999"),
        object_url.copy_with(query=b""),
    ]
    for url in tampered:
        answer = await client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID"), url


async def test_of_parts_take_nothing_but_the_part(part_url: httpx.URL, client: httpx.AsyncClient) -> None:
    tampered = [
        part_url.copy_with(path=part_url.path[:-1] + "2"),
        part_url.copy_with(path="/storage/parts/default/" + "0" * 32 + "/1"),
        part_url.copy_set_param("size", "4"),
        part_url.copy_set_param("expires", "99999999999"),
    ]
    for url in tampered:
        answer = await client.put(url, content=b"abcd")
        assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_INVALID"), url
    assert (await client.get(part_url)).status_code == 405
    assert (await client.put(part_url, content=b"abc")).status_code == 200


async def test_of_parts_take_exactly_the_size(part_url: httpx.URL, client: httpx.AsyncClient) -> None:
    for content, status in ((b"abcd", 413), (b"ab", 400), (chunks(b"ab", b"cd"), 413), (chunks(b"a"), 400)):
        answer = await client.put(part_url, content=content)
        assert (answer.status_code, answer.json()["code"]) == (status, "PART_SIZE_WRONG")


async def test_of_parts_end_with_the_upload(
    folder: FolderStore, part_url: httpx.URL, client: httpx.AsyncClient
) -> None:
    await folder.abort_upload("a", part_url.path.split("/")[-2])
    answer = await client.put(part_url, content=b"abc")
    assert (answer.status_code, answer.json()["code"]) == (404, "UPLOAD_NOT_FOUND")


async def test_say_when_the_object_is_gone(
    folder: FolderStore, object_url: httpx.URL, client: httpx.AsyncClient
) -> None:
    await folder.delete("a.json")
    answer = await client.get(object_url)
    assert (answer.status_code, answer.json()["code"]) == (404, "OBJECT_NOT_FOUND")


async def test_expire(tmp_path: Path, client: httpx.AsyncClient) -> None:
    now = datetime.now(UTC).timestamp()
    stores: dict[str, FolderStore] = {}
    with storage_server(stores) as url:
        store = FolderStore(tmp_path, public_url=url, signing_key=SIGNING_KEY, clock=lambda: now)
        stores["default"] = store
        await store.open()
        await store.put("a", chunks(b"x"))
        signed = await store.presign_get("a", expires_seconds=60)
        now += 59
        assert (await client.get(signed)).status_code == 200
        now += 2
        answer = await client.get(signed)
        assert (answer.status_code, answer.json()["code"]) == (403, "SIGNATURE_EXPIRED")


async def test_of_another_key_are_refused(object_url: httpx.URL, client: httpx.AsyncClient) -> None:
    other = UrlSigner(b"another key of thirty-two bytes.").sign("GET", object_url.path, {}, expires_seconds=60)
    answer = await client.get(object_url.join(other))
    assert answer.status_code == 403


async def test_stay_below_a_public_url_with_a_path(tmp_path: Path) -> None:
    store = folder_store(tmp_path, public_url="https://example.com/models/")
    await store.open()
    await store.put("a", chunks(b"x"))
    url = await store.presign_get("a", expires_seconds=60)
    assert url.startswith("https://example.com/models/storage/objects/default/a?")


async def test_of_parts_may_be_used_again_after_a_broken_connection(
    folder: FolderStore, part_url: httpx.URL, client: httpx.AsyncClient
) -> None:
    _, writer = await asyncio.open_connection(part_url.host, part_url.port)
    writer.write(b"PUT %s HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na" % part_url.raw_path)
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async with asyncio.timeout(15):
        while (answer := await client.put(part_url, content=b"abc")).status_code == 409:
            assert answer.json()["code"] == "UPLOAD_BUSY"
    assert answer.status_code == 200
    await folder.complete_upload("a", part_url.path.split("/")[-2], 3)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux' /proc")
async def test_move_large_files_in_little_memory(tmp_path: Path, client: httpx.AsyncClient) -> None:
    block = os.urandom(1 << 20)
    size_bytes = 300 * len(block)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), SIGNING_KEY.hex()],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        port = int(await asyncio.to_thread(child.stdout.readline))
        store = folder_store(tmp_path, public_url=f"http://127.0.0.1:{port}")
        await store.open()
        upload_id = await store.begin_upload("large", size_bytes)
        async with asyncio.TaskGroup() as group:
            for part in store.parts(size_bytes):
                url = await store.presign_part("large", upload_id, part, expires_seconds=60)
                content = chunks(*[block] * (part.size_bytes // len(block)))
                group.create_task(client.put(url, content=content))
        await store.complete_upload("large", upload_id, size_bytes)
        url = await store.presign_get("large", expires_seconds=60)
        async with client.stream("GET", url) as answer:
            assert sum([len(piece) async for piece in answer.aiter_raw()]) == size_bytes
        child.stdin.close()
        assert int(await asyncio.to_thread(child.stdout.readline)) << 10 < MAX_SERVER_BYTES


SERVER = """
import re, socket, sys, threading
from pathlib import Path
import uvicorn
from starlette.applications import Starlette
from artifacts.folder_store import FolderStore
from server.storage import storage_routes

root, key = sys.argv[1:]
store = FolderStore(Path(root), public_url="", signing_key=bytes.fromhex(key))
listener = socket.create_server(("127.0.0.1", 0))
config = uvicorn.Config(Starlette(routes=storage_routes({"default": store})), lifespan="off", log_level="error")
server = uvicorn.Server(config)
thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
thread.start()
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
# Not ru_maxrss, which begins with what the parent had.
print(*re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()), flush=True)
server.should_exit = True
thread.join()
"""


def test_are_refused_with_documented_codes() -> None:
    documentation = (PROJECT / "docs/storage.md").read_text()
    codes = set(re.findall(r'"([A-Z]+_[A-Z]+)"', (PROJECT / "server/storage.py").read_text()))
    assert codes
    assert [code for code in codes if f"`{code}`" not in documentation] == []
