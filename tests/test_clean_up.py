"""What nobody needs any more is let go: versions, then bytes that no version holds, and what lies about on the host."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from artifacts.blob import BlobStore, blob_key
from artifacts.object_store import StoreUnavailable
from db.connection import Pool
from db.reading_pool import create_reading_pool
from resolvers.clean_up import queue_due
from resolvers.installation import Installation
from resolvers.leftover import adopt_strays, delete_unused_blobs, discard_environments, discard_packages
from server.build import installation
from server.settings import Placement
from tests.api import Api, RunningServer, running_server, wait_for
from tests.packages import Package, blobs, files_of, import_package, mxnet_package, opened, upload_job

LONG_AGO = "now() - interval '10 days'"
TEN_DAYS = 10 * 24 * 3600.0


def with_file(data: bytes) -> Package:
    return {**mxnet_package(), "model/weights.params": data}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def deleted(api: Api, version: str, *, model: str = "iris") -> None:
    payload = await api.mutate(
        "deleteModelVersion", "modelVersion { id }", modelVersion={"modelName": model, "version": version}
    )
    assert payload["errors"] == [], payload


async def let_time_pass(pool: Pool) -> None:
    """What was deleted cannot be restored any more, and nobody has lately brought in what is stored."""
    await pool.execute(f"UPDATE model_version SET restorable_until = {LONG_AGO} WHERE deleted_at IS NOT NULL")
    await pool.execute(f"UPDATE stored_blob SET touched_at = {LONG_AGO}")


async def cleaned_up(api: Api, **fields: Any) -> Any:
    """What a clean-up told in the end."""
    payload = await api.mutate("cleanUp", "operation { id kind state }", **fields)
    assert payload["errors"] == [], payload
    assert payload["operation"]["kind"] == "CLEAN_UP"
    await ended(api, payload["operation"]["id"])
    return (await events(api, "CLEAN_UP_SUCCEEDED"))[0]


async def ended(api: Api, operation: str, state: str = "SUCCEEDED") -> Any:
    document = "query ($id: ID!) { backgroundOperation(id: $id) { state error { code message hint } } }"

    async def look() -> Any:
        found = (await api.ask(document, id=operation))["backgroundOperation"]
        return found if found["state"] in ("SUCCEEDED", "FAILED") else None

    found = await wait_for(look)
    assert found["state"] == state, found
    return found


async def events(api: Api, kind: str) -> list[Any]:
    """The data of what happened, the newest first."""
    document = "query ($kind: [String!]) { auditEvents(filter: { kind: $kind }) { nodes { data } } }"
    return [node["data"] for node in (await api.ask(document, kind=[kind]))["auditEvents"]["nodes"]]


@asynccontextmanager
async def made_of(server: RunningServer, pool: Pool, database_url: str) -> AsyncIterator[Installation]:
    """A second installation of the same settings, as another process has it."""
    async with (
        await create_reading_pool(database_url, size=1) as reading,
        installation(server.settings, pool, reading, dies_with_server=False) as made,
    ):
        yield made


async def test_a_version_that_cannot_be_restored_any_more_goes_with_the_bytes_that_only_it_holds(
    server: RunningServer, api: Api, pool: Pool
) -> None:
    own, shared = b"its own", b"shared"
    await import_package(api, {**with_file(own), "model/shared.bin": shared})
    await import_package(api, {**mxnet_package(), "model/shared.bin": shared})
    await deleted(api, "0.0.1")
    await let_time_pass(pool)
    before = blobs(server.settings.data_dir)

    told = await cleaned_up(api)

    sizes = [len(data) for data in (own, shared, *mxnet_package().values())]
    assert told == {"versions": 1, "sizeBytes": sum(sizes)}
    assert await events(api, "MODEL_VERSION_PURGED") == [{"model": "iris", "version": "0.0.1"}]
    assert before - blobs(server.settings.data_dir) == {sha256(own)}
    assert {file["path"] for file in await files_of(api, "0.0.2")} >= {"shared.bin", "config.json"}
    for file in await files_of(api, "0.0.2"):
        assert sha256(await opened(file["url"])) == file["sha256"]
    row = await pool.fetchrow("SELECT purged_at, size_bytes FROM model_version WHERE version = '0.0.1'")
    assert row is not None
    assert row["purged_at"] is not None
    gone = "(SELECT id FROM model_version WHERE purged_at IS NOT NULL)"
    assert await api.count(f"model_file WHERE model_version_id = {gone}") == 0
    assert await api.count(f"environment_build WHERE model_version_id = {gone}") == 0
    assert (await import_package(api, mxnet_package()))["version"] == "0.0.3", "its number stays used"
    assert (await cleaned_up(api))["versions"] == 0


async def test_what_can_be_restored_or_was_brought_in_lately_stays(server: RunningServer, api: Api, pool: Pool) -> None:
    await import_package(api, with_file(b"restorable"))
    await import_package(api, with_file(b"recent"))
    await let_time_pass(pool)
    await deleted(api, "0.0.1")
    await deleted(api, "0.0.2")
    await pool.execute(f"UPDATE model_version SET restorable_until = {LONG_AGO} WHERE version = '0.0.2'")
    await pool.execute("UPDATE stored_blob SET touched_at = now() WHERE size_bytes = $1", len(b"recent"))

    assert (await cleaned_up(api))["versions"] == 1

    assert {sha256(b"restorable"), sha256(b"recent")} <= blobs(server.settings.data_dir)
    assert await api.count("model_version WHERE purged_at IS NOT NULL") == 1


async def test_a_version_that_a_service_is_to_run_is_never_let_go(api: Api, pool: Pool) -> None:
    await import_package(api, mxnet_package())
    await pool.execute(SERVICE_OF_THE_VERSION)
    await pool.execute(f"UPDATE model_version SET deleted_at = now(), restorable_until = {LONG_AGO}")
    before = await api.count("model_file")
    assert (await cleaned_up(api))["versions"] == 0
    await pool.execute("UPDATE service SET last_configuration_number = 2, routed_configuration_number = 1")
    assert (await cleaned_up(api))["versions"] == 0
    assert await api.count("model_file") == before
    await pool.execute("UPDATE service SET deleted_at = now()")
    assert (await cleaned_up(api))["versions"] == 1


# Nobody can delete a version that a service uses: only by SQL is there such a thing.
SERVICE_OF_THE_VERSION = """
WITH version AS (SELECT workspace_id, id FROM model_version),
made AS (
    INSERT INTO service (
        workspace_id, resource_pool_id, name, deployment_type, desired_state, status, last_configuration_number,
        created_by
    )
    SELECT version.workspace_id, resource_pool.id, 'resting', 'REAL_TIME', 'STOPPED', 'STOPPED', 1, 'test'
    FROM version
    JOIN resource_pool ON resource_pool.workspace_id = version.workspace_id
    RETURNING workspace_id, id
),
configured AS (
    INSERT INTO service_configuration (workspace_id, service_id, number, created_by)
    SELECT workspace_id, id, 1, 'test' FROM made
    RETURNING workspace_id, id
)
INSERT INTO service_target (
    workspace_id, service_configuration_id, model_version_id, position, weight, inference_specification, cpu_count,
    memory_bytes, gpu_count, ascend_count, instance_count, generation
)
SELECT version.workspace_id, configured.id, version.id, 0, 100, 'small', 1, 1, 0, 0, 1, 1
FROM version, configured
"""


async def test_one_clean_up_is_under_way_at_a_time(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        other = await server.client_of_new_workspace("other")
        payloads = await asyncio.gather(*(api.mutate("cleanUp", "operation { id }") for _ in range(5)))
        assert len({payload["operation"]["id"] for payload in payloads}) == 1
        assert await api.count("operation") == await api.count("pgqueuer") == 1
        theirs = await other.mutate("cleanUp", "operation { id }")
        assert theirs["operation"]["id"] != payloads[0]["operation"]["id"]


async def test_the_same_key_is_given_the_same_clean_up(api: Api) -> None:
    first = await api.mutate("cleanUp", "operation { id }", idempotencyKey="once")
    await ended(api, first["operation"]["id"])
    assert await api.mutate("cleanUp", "operation { id }", idempotencyKey="once") == first
    assert (await api.mutate("cleanUp", "operation { id }"))["operation"] != first["operation"]


async def test_a_server_cleans_up_by_itself_where_something_is_due(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await import_package(api, mxnet_package())
        await deleted(api, "0.0.1")
        async with made_of(server, pool, database_url) as made:
            assert await queue_due(made) == [], "it can still be restored"
        assert await api.count("operation WHERE kind = 'CLEAN_UP'") == 0
    await let_time_pass(pool)
    async with running_server(pool, database_url, data_dir) as server:
        await wait_for(lambda: pool.fetchval("SELECT true FROM model_version WHERE purged_at IS NOT NULL"))
        async with made_of(server, pool, database_url) as made:
            assert await queue_due(made) == []
        assert await server.client().count("operation WHERE kind = 'CLEAN_UP'") == 1


class Faulty(BlobStore):
    """Blobs of a store at which something happens before each deletion."""

    def __init__(self, blobs: BlobStore, before_deleting: Callable[[], Any]) -> None:
        super().__init__(blobs.store)
        self._before_deleting = before_deleting

    async def delete(self, sha256: str) -> None:
        await self._before_deleting()
        await super().delete(sha256)


async def test_a_clean_up_that_breaks_off_among_the_bytes_is_finished_by_the_next(
    server: RunningServer, api: Api, pool: Pool, database_url: str
) -> None:
    await import_package(api, {**with_file(b"first"), "model/second.bin": b"second"})
    await deleted(api, "0.0.1")
    await let_time_pass(pool)
    left = [1]

    async def fail_from_the_second_on() -> None:
        if not left:
            raise StoreUnavailable("default", "it went away")
        left.pop()

    async with made_of(server, pool, database_url) as made:
        await pool.execute("DELETE FROM model_file")
        stored = await api.count("stored_blob")
        with pytest.raises(StoreUnavailable):
            await delete_unused_blobs(replace(made, blobs=Faulty(made.blobs, fail_from_the_second_on)))
        assert await api.count("stored_blob") == stored, "the rows are there until all of their bytes are gone"
    await cleaned_up(api)
    assert blobs(server.settings.data_dir) == set()
    assert await api.count("stored_blob") == 0


async def test_bytes_that_are_brought_in_while_they_are_deleted_are_stored_again(
    server: RunningServer, api: Api, pool: Pool, database_url: str
) -> None:
    package = with_file(b"wanted again")
    await import_package(api, package)
    await pool.execute("DELETE FROM model_file")
    await let_time_pass(pool)
    source = await upload_job(api, package)
    is_deleting, may_delete = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        is_deleting.set()
        await may_delete.wait()

    async with made_of(server, pool, database_url) as made:
        deleting = asyncio.create_task(delete_unused_blobs(replace(made, blobs=Faulty(made.blobs, wait))))
        await is_deleting.wait()
        version = await api.import_version("iris", source)
        await wait_for(lambda: pool.fetchval(WAITS_FOR_A_BLOB))
        may_delete.set()
        assert (await deleting)[0] == len(package)

    assert (await api.imported("iris", version))["status"] == "NORMAL"
    files = await files_of(api, version)
    assert len(files) == len(package)
    for file in files:
        assert sha256(await opened(file["url"])) == file["sha256"]


WAITS_FOR_A_BLOB = """
SELECT true
FROM pg_stat_activity
WHERE datname = current_database()
AND wait_event_type = 'Lock'
AND query LIKE '%INSERT INTO stored_blob%'
"""


async def test_bytes_without_a_row_go_once_they_are_old(
    server: RunningServer, api: Api, pool: Pool, database_url: str
) -> None:
    await import_package(api, mxnet_package())
    kept = blobs(server.settings.data_dir)
    old, young = b"of a killed process", b"of one that works"
    for data in (old, young):
        path = server.settings.data_dir / "objects" / blob_key(sha256(data))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if data is old:
            age(path)
    async with made_of(server, pool, database_url) as made:
        await pool.execute("DELETE FROM engine_lease WHERE engine = 'listing of blobs'")
        assert await adopt_strays(made) == 1
        assert await adopt_strays(made) == 0, "the next look is tomorrow's"
    await cleaned_up(api)
    assert blobs(server.settings.data_dir) == kept | {sha256(young)}


def age(path: Path) -> None:
    os.utime(path, (time.time() - TEN_DAYS,) * 2)


async def test_an_upload_that_was_never_completed_is_part_of_it(api: Api, pool: Pool) -> None:
    version = await api.record_job()
    files = [{"path": "model/large", "sizeBytes": 1000}]
    payload = await api.mutate(
        "createUpload", "upload { id }", trainingJobName="iris", versionName=version, files=files
    )
    assert payload["errors"] == []
    await cleaned_up(api)
    assert await api.count("upload WHERE state = 'OPEN'") == 1
    await pool.execute("UPDATE upload SET expires_at = now() - interval '2 hours'")
    await cleaned_up(api)
    assert await api.count("upload WHERE state = 'EXPIRED'") == 1


async def test_folders_of_packages_that_nobody_needs_are_removed(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        await api.import_version("iris", await upload_job(api, mxnet_package()))
        importing = await pool.fetchval("SELECT id FROM model_version")
        folders = {name: data_dir / "packages" / str(name) for name in (importing, uuid4(), uuid4(), "not-an-id")}
        for folder in folders.values():
            folder.mkdir()
            (folder / "model.bin").write_bytes(b"laid out")
            age(folder)
        young = list(folders.values())[2]
        os.utime(young)
        async with made_of(server, pool, database_url) as made:
            assert await discard_packages(made) == 1
            assert sorted(path.exists() for path in folders.values()) == [False, True, True, True]
            assert folders[importing].exists()
            await pool.execute("UPDATE model_version SET status = 'IMPORT_FAILED'")
            assert await discard_packages(made) == 1
            assert not folders[importing].exists()


async def test_environments_of_versions_that_are_there_stay(pool: Pool, database_url: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "own"
    data_dir.mkdir(mode=0o711)
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        await api.import_version("iris", await upload_job(api, mxnet_package()))
        await pool.execute(
            """INSERT INTO environment_build (id, workspace_id, model_version_id, digest, runtime, requirements)
            SELECT build.id, version.workspace_id, version.id, build.digest, 'python3.11', '{}'
            FROM model_version AS version,
                (VALUES (uuid '01900000-0000-7000-8000-000000000001', 'of an earlier try'),
                    (uuid '01900000-0000-7000-8000-000000000002', 'in force')) AS build (id, digest)"""
        )
        environments = [environment(data_dir, digest) for digest in ("in force", "of an earlier try", "of nobody")]
        async with made_of(server, pool, database_url) as made:
            assert await discard_environments(made) == 2
            assert [path.exists() for path in environments] == [True, False, False]
            await pool.execute("UPDATE model_version SET deleted_at = now()")
            assert await discard_environments(made) == 1


def environment(data_dir: Path, digest: str) -> Path:
    """As if it had been built and used long ago."""
    folder = data_dir / "environments" / uuid4().hex
    folder.mkdir(parents=True)
    (folder / ".complete").write_text(digest)
    age(folder / ".complete")
    age(folder)
    return folder


async def test_a_store_that_does_not_answer_fails_the_clean_up_in_the_end(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, operation_attempts=1) as server:
        api = server.client()
        await import_package(api, mxnet_package())
        await deleted(api, "0.0.1")
        await let_time_pass(pool)
        objects = data_dir / "objects"
        objects.rename(data_dir / "elsewhere")
        objects.write_bytes(b"no folder")
        payload = await api.mutate("cleanUp", "operation { id }")
        failed = await ended(api, payload["operation"]["id"], "FAILED")
        assert failed["error"]["code"] == "STORE_UNAVAILABLE"
        assert failed["error"]["message"] == "The store failed while files that no version holds were deleted."
        assert failed["error"]["hint"]
        objects.unlink()
        (data_dir / "elsewhere").rename(objects)
        await cleaned_up(api)
        assert blobs(data_dir) == set()
        assert await api.count("event WHERE kind = 'MODEL_VERSION_PURGED'") == 1
