"""The storage that an import reads: while it changes, while it does not answer, and how far the reading is."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from pydantic import SecretStr

from db.connection import Pool
from resolvers.progress import TELL_SECONDS
from tests.api import Api, free_port, running_server, wait_for
from tests.packages import (
    MXNET,
    files_of,
    mxnet_package,
    opened,
    retried,
    upload_job,
)
from tests.plain_http import NO_TLS


@asynccontextmanager
async def copying_held_at(pool: Pool, data: bytes) -> AsyncIterator[None]:
    """While it lasts, an import waits before it notes that it has stored these bytes."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        sha256 = hashlib.sha256(data).digest()
        await connection.execute("INSERT INTO stored_blob (sha256, size_bytes) VALUES ($1, $2)", sha256, len(data))
        try:
            yield
        finally:
            await transaction.rollback()


async def is_held(pool: Pool, *, for_seconds: float = 0) -> bool:
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO stored_blob%'
        AND query_start <= clock_timestamp() - make_interval(secs => $1)"""
    return bool(await pool.fetchval(waiting, for_seconds))


async def test_progress_says_how_much_is_copied(api: Api, pool: Pool) -> None:
    held, large = b"held", bytes(3 << 20)
    package = {**mxnet_package(), "model/held.bin": held, "model/large.bin": large}
    read_share = len(large) / sum(len(data) for data in package.values())
    source = await upload_job(api, package, algorithm=MXNET)

    async def told() -> Any:
        shown = await api.version("iris", "0.0.1", "operation { state stage progress }")
        operation = shown["operation"]
        return operation if (operation["progress"] or 0) >= read_share else None

    async with copying_held_at(pool, held):
        await api.import_version("iris", source)
        await wait_for(lambda: is_held(pool, for_seconds=TELL_SECONDS))
        operation = await wait_for(told)
        assert (operation["state"], operation["stage"]) == ("RUNNING", "COPYING")
        assert operation["progress"] < 1
    assert (await api.imported("iris", "0.0.1"))["status"] == "NORMAL"
    assert (await told())["progress"] == 1


async def test_a_source_that_changes_while_it_is_copied_fails_the_import(api: Api, pool: Pool) -> None:
    package = mxnet_package()
    source = await upload_job(api, package, algorithm=MXNET)
    async with copying_held_at(pool, package["model/config.json"]):
        await api.import_version("iris", source)
        await wait_for(lambda: is_held(pool))
        await api.upload("iris", source, {"model/resnet-symbol.json": b"another"})
    failed = await api.imported("iris", "0.0.1")
    assert (failed["status"], failed["operation"]["attempts"]) == ("IMPORT_FAILED", 1)
    (problem,) = failed["problems"]
    assert problem["code"] == "SOURCE_CHANGED"
    assert "resnet-symbol.json" in problem["message"]
    assert "retryImport" in problem["hint"]
    assert (await retried(api, "0.0.1"))["status"] == "NORMAL"


class S3Server:
    """moto's server, which can go away and come back: its objects stay."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def send(self, method: str, address: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            return (await client.request(method, f"{self.url}/{address}")).raise_for_status()

    async def delete_bucket(self) -> None:
        """With all that it holds: a bucket that holds something is not deleted."""
        listing = (await self.send("GET", "models?list-type=2")).text
        for key in re.findall("<Key>(.*?)</Key>", listing):
            await self.send("DELETE", f"models/{key}")
        await self.send("DELETE", "models")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not a secret")
    server = S3Server()
    httpx.put(f"{server.url}/models").raise_for_status()
    yield server
    httpx.post(f"{server.url}/moto-api/reset").raise_for_status()
    server.stop()


@pytest.fixture
async def s3_api(pool: Pool, database_url: str, data_dir: Path, s3: S3Server) -> AsyncIterator[Api]:
    url = SecretStr(f"s3://models/yard?endpoint={s3.url}&region=us-east-1")
    async with running_server(pool, database_url, data_dir, object_store_url=url) as running:
        yield running.client()


async def test_a_package_in_s3_is_imported_and_folder_markers_are_no_files(s3_api: Api, s3: S3Server) -> None:
    package = mxnet_package()
    source = await upload_job(s3_api, package, algorithm=MXNET)
    output = await s3_api.pool.fetchval("SELECT output_key FROM training_job_version")
    for folder in ("", "model/", "model/variables/"):
        await s3.send("PUT", f"models/yard/{output}/{folder}")
    imported = await s3_api.imported("iris", await s3_api.import_version("iris", source))
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    files = await files_of(s3_api, "0.0.1")
    assert {f"model/{file['path']}" for file in files} == package.keys()
    for file in files:
        assert await opened(file["url"]) == package[f"model/{file['path']}"]
    listing = (await s3.send("GET", "models?list-type=2&prefix=yard/blobs/")).text
    stored = [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]
    assert sorted(key.rpartition("/")[2] for key in stored) == sorted(file["sha256"] for file in files)


async def is_waiting(api: Api) -> bool:
    shown = await api.version("iris", "0.0.1", "operation { stage }")
    return bool(shown["operation"]["stage"] == "WAITING_FOR_STORE")


@pytest.mark.slow
async def test_a_store_that_does_not_answer_is_asked_again_and_then_fails_the_import_with_its_reason(
    s3_api: Api, s3: S3Server
) -> None:
    source = await upload_job(s3_api, mxnet_package(), algorithm=MXNET)
    s3.stop()
    try:
        await s3_api.import_version("iris", source)
        await wait_for(lambda: is_waiting(s3_api), within_seconds=60)
        failed = await s3_api.imported("iris", "0.0.1")
    finally:
        s3.start()
    assert (failed["status"], failed["operation"]["attempts"]) == ("IMPORT_FAILED", 1)
    assert failed["operation"]["error"] == {"code": "STORE_UNAVAILABLE"}
    (problem,) = failed["problems"]
    assert problem["code"] == "STORE_UNAVAILABLE"
    assert "retryImport" in problem["hint"]
    assert "127.0.0.1" not in problem["message"]
    assert (await retried(s3_api, "0.0.1"))["status"] == "NORMAL"


@pytest.mark.slow
async def test_an_import_survives_a_store_that_goes_away_for_a_while_and_copies_no_file_again(
    s3_api: Api, s3: S3Server, pool: Pool
) -> None:
    package = mxnet_package()
    source = await upload_job(s3_api, package, algorithm=MXNET)
    async with copying_held_at(pool, package["model/config.json"]):
        await s3_api.import_version("iris", source)
        await wait_for(lambda: is_held(pool))
        s3.stop()
    try:
        await wait_for(lambda: is_waiting(s3_api), within_seconds=60)
    finally:
        s3.start()
    imported = await s3_api.imported("iris", "0.0.1")
    assert (imported["status"], imported["operation"]["attempts"]) == ("NORMAL", 1)
    assert len(await files_of(s3_api, "0.0.1")) == len(package)


@pytest.mark.slow
async def test_a_bucket_that_is_gone_fails_the_import(s3_api: Api, s3: S3Server) -> None:
    await upload_job(s3_api, mxnet_package(), algorithm=MXNET)
    await s3.delete_bucket()
    await s3_api.import_version("iris", "V0001")
    failed = await s3_api.imported("iris", "0.0.1")
    assert [problem["code"] for problem in failed["problems"]] == ["STORE_UNAVAILABLE"]
    assert "NoSuchBucket" in failed["problems"][0]["message"]
