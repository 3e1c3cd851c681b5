"""Real stores for the tests: a folder behind a real server, and S3 as moto's server speaks it."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from uuid import uuid4

import httpx
import pytest
import uvicorn
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from starlette.applications import Starlette

from artifacts.folder_store import FolderStore
from artifacts.object_store import ObjectStore, UploadPart
from artifacts.store_url import S3Location, create_store
from server.storage import storage_routes
from tests.plain_http import NO_TLS

SIGNING_KEY = b"a key of thirty-two bytes or more"
UNREACHABLE_URL = "http://127.0.0.1:9"


@contextmanager
def s3_server() -> Iterator[str]:
    """Yields the URL of an S3 server, with credentials for it in the environment."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "tester")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
        environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        yield url
        # Every such server of a process has the same objects.
        httpx.post(f"{url}/moto-api/reset").raise_for_status()
        server.stop()


def s3_location(endpoint: str) -> S3Location:
    """A new, empty bucket; the store keeps to a prefix of it."""
    bucket = f"bucket-{uuid4().hex}"
    httpx.put(f"{endpoint}/{bucket}").raise_for_status()
    return S3Location(bucket, prefix="objects/", endpoint=endpoint, region="us-east-1")


def s3_store(location: S3Location) -> ObjectStore:
    return create_store(location, public_url=UNREACHABLE_URL, signing_key=SIGNING_KEY)


def folder_store(root: Path, *, public_url: str = UNREACHABLE_URL, name: str = "default") -> FolderStore:
    return FolderStore(root, public_url=public_url, signing_key=SIGNING_KEY, name=name)


@contextmanager
def storage_server(stores: Mapping[str, FolderStore]) -> Iterator[str]:
    """Serves the stores' signed URLs; yields the server's own URL. Stores may still be added."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=storage_routes(stores))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=5))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def chunks(*parts: bytes) -> AsyncGenerator[bytes, None]:
    for part in parts:
        yield part


@asynccontextmanager
async def opened(store: ObjectStore) -> AsyncIterator[ObjectStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def new_bucket(endpoint: str) -> AsyncIterator[ObjectStore]:
    """A store in an empty bucket. The server keeps its objects in memory, so it is emptied in the end."""
    async with opened(s3_store(s3_location(endpoint))) as store:
        yield store
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        (await client.post(f"{endpoint}/moto-api/reset")).raise_for_status()


@asynccontextmanager
async def folder_behind_server(root: Path) -> AsyncIterator[FolderStore]:
    stores: dict[str, FolderStore] = {}
    with storage_server(stores) as url:
        store = stores["default"] = folder_store(root, public_url=url)
        await store.open()
        yield store


async def read(store: ObjectStore, key: str, **options: int | str | None) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, **options)])  # type: ignore[arg-type]


async def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key async for info in store.list(prefix)]


def uses_of(store: ObjectStore, key: str) -> Iterator[Awaitable[object]]:
    yield store.head(key)
    yield read(store, key)
    yield store.put(key, chunks(b"x"))
    yield store.delete(key)
    yield store.copy("a", key, if_match=None)
    yield store.copy(key, "b", if_match=None)
    yield store.move("a", key)
    yield store.begin_upload(key, 1)
    yield store.presign_get(key, expires_seconds=60)


async def send(client: httpx.AsyncClient, store: ObjectStore, key: str, upload_id: str, *parts: UploadPart) -> None:
    for part in parts:
        url = await store.presign_part(key, upload_id, part, expires_seconds=60)
        answer = await client.put(url, content=bytes([part.number]) * part.size_bytes)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"]
