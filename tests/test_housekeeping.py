"""What a clean-up of one workspace leaves to all others, and what one bad row does not keep from being done."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from artifacts.object_store import StoreUnavailable
from db import stored_blob
from db.connection import Pool
from engines.engine import EnvironmentSpecification
from resolvers import clean_up
from resolvers.expired_upload import discard_expired
from resolvers.leftover import discard_environments, discard_of_all, discard_of_host
from resolvers.training_output import look_at_unseen
from server.settings import Placement
from tests.api import Api, RunningServer, running_server
from tests.packages import blobs, import_package, mxnet_package, upload_job
from tests.test_clean_up import (
    LONG_AGO,
    SERVICE_OF_THE_VERSION,
    Faulty,
    age,
    cleaned_up,
    environment,
    let_time_pass,
    made_of,
    sha256,
)

WHEEL = "iris-1.0-py3-none-any.whl"
OPEN = "upload WHERE state = 'OPEN'"


async def announced(api: Api, job: str = "iris") -> str:
    """The id of an upload that has begun in the store, and of which nothing arrives."""
    version = await api.record_job(job)
    files = [{"path": "model/large", "sizeBytes": 1000}]
    selection = "upload { id files { parts { url } } }"
    payload = await api.mutate("createUpload", selection, trainingJobName=job, versionName=version, files=files)
    assert payload["errors"] == []
    upload: str = payload["upload"]["id"]
    return upload


async def expire_uploads(pool: Pool) -> None:
    await pool.execute("UPDATE upload SET expires_at = now() - interval '2 hours'")


async def test_a_clean_up_gives_back_the_uploads_of_its_own_workspace_only(
    server: RunningServer, api: Api, pool: Pool
) -> None:
    other = await server.client_of_new_workspace("other")
    own, foreign = await announced(api), await announced(other)
    await expire_uploads(pool)
    await cleaned_up(api)
    rows = {str(row["id"]): row["state"] for row in await pool.fetch("SELECT id, state FROM upload")}
    assert sorted(rows.values()) == ["EXPIRED", "OPEN"]
    assert {error["code"] for error in await api.refused("completeUpload", uploadId=own)} == {"UPLOAD_EXPIRED"}
    assert await other.count(OPEN) == 1
    await cleaned_up(other)
    assert {error["code"] for error in await other.refused("completeUpload", uploadId=foreign)} == {"UPLOAD_EXPIRED"}
    assert await other.count(OPEN) == 0


async def test_what_is_wrong_with_another_workspace_s_upload_fails_no_clean_up(
    server: RunningServer, api: Api, pool: Pool
) -> None:
    other = await server.client_of_new_workspace("other")
    await announced(other)
    await expire_uploads(pool)
    await pool.execute("UPDATE training_job_version SET output_store = 'gone'")
    assert await cleaned_up(api) == {"versions": 0, "sizeBytes": 0}
    assert await api.count(OPEN) == 1


async def test_an_upload_that_cannot_be_given_back_keeps_no_other_from_it(
    server: RunningServer, api: Api, pool: Pool, database_url: str
) -> None:
    await announced(api, "first")
    await announced(api, "second")
    await expire_uploads(pool)
    await pool.execute(
        """UPDATE training_job_version SET output_store = 'gone'
        WHERE id = (SELECT training_job_version_id FROM upload ORDER BY expires_at, id LIMIT 1)"""
    )
    async with made_of(server, pool, database_url) as made:
        assert await discard_expired(made) == 2, "nobody can come for what lies in a store that is gone"
    assert await api.count(OPEN) == 0


async def test_a_store_that_is_away_keeps_no_folder_from_being_removed(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        await announced(server.client())
        await expire_uploads(pool)
        folder = data_dir / "packages" / str(uuid4())
        folder.mkdir()
        age(folder)
        async with made_of(server, pool, database_url) as made:
            (data_dir / "objects").rename(data_dir / "away")
            (data_dir / "objects").write_bytes(b"no folder")
            await discard_of_host(made)
            await discard_of_all(made)
        assert not folder.exists()
        assert await server.client().count(OPEN) == 1
        (data_dir / "objects").unlink()
        (data_dir / "away").rename(data_dir / "objects")
        async with made_of(server, pool, database_url) as made:
            await discard_of_all(made)
            assert await server.client().count(OPEN) == 1, "another process had its turn within the hour"
            await pool.execute("UPDATE engine_lease SET expires_at = now() - interval '1 second'")
            await discard_of_all(made)
        assert await server.client().count(OPEN) == 0


async def test_a_damaged_wheel_keeps_its_environment_and_no_other(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    data_dir = tmp_path / "own"
    data_dir.mkdir(mode=0o711)
    wheel = tmp_path / WHEEL
    wheel.write_bytes(b"a wheel")
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        await api.import_version("iris", await upload_job(api, mxnet_package()))
        await pool.execute(SERVICE_OF_THE_VERSION)
        await pool.execute(VERSION_WITH_WHEEL, [{"package": WHEEL}], WHEEL, bytes.fromhex(sha256(b"a wheel")))
        needed = EnvironmentSpecification("python3.11", ("six==1.17.0",), (wheel,)).digest
        environments = [environment(data_dir, digest) for digest in (needed, "of nobody")]
        assert sha256(b"a wheel") not in blobs(data_dir)
        async with made_of(server, pool, database_url) as made:
            assert await discard_environments(made) == 1
        assert [path.exists() for path in environments] == [True, False]


# As a copy from the market is: no import of its own built its environment.
VERSION_WITH_WHEEL = """
WITH blob AS (
    INSERT INTO stored_blob (sha256, size_bytes) VALUES ($3, 7)
),
version AS (
    UPDATE model_version
    SET runtime = 'python3.11', requirements = ARRAY['six==1.17.0'], dependencies = $1
    RETURNING workspace_id, id
)
INSERT INTO model_file (workspace_id, model_version_id, path, size_bytes, sha256, scan_state)
SELECT workspace_id, id, $2, 7, $3, 'NOT_SCANNED' FROM version
"""


async def test_a_clean_up_that_another_attempt_has_overtaken_ends_in_silence(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        await import_package(server.client(), mxnet_package())
    await pool.execute("DELETE FROM model_file")
    await let_time_pass(pool)

    async def be_overtaken() -> None:
        await pool.execute("UPDATE operation SET attempts = attempts + 1 WHERE kind = 'CLEAN_UP'")
        raise StoreUnavailable("default", "it went away")

    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        await server.client().mutate("cleanUp", "operation { id }")
        operation = await pool.fetchval("SELECT id FROM operation WHERE kind = 'CLEAN_UP'")
        async with made_of(server, pool, database_url) as made:
            rules = replace(made.rules, operation_attempts=1)
            await clean_up.run(replace(made, rules=rules, blobs=Faulty(made.blobs, be_overtaken)), operation)
        row = await pool.fetchrow("SELECT state, attempts FROM operation WHERE id = $1", operation)
        assert row is not None
        assert (row["state"], row["attempts"] > 1) == ("RUNNING", True)


async def test_a_clean_up_deletes_so_many_files_and_leaves_the_rest(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    most = clean_up.BLOB_BATCHES * 50
    await pool.execute(
        f"""INSERT INTO stored_blob (sha256, size_bytes, touched_at)
        SELECT sha256(number::text::bytea), 1, {LONG_AGO} FROM generate_series(1, $1) AS number""",
        most + 7,
    )
    # Another process had its turn, or the server would look through everything as it starts.
    await pool.execute("INSERT INTO engine_lease VALUES ('housekeeping', gen_random_uuid(), now() + interval '1 hour')")
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await cleaned_up(api)
        assert await api.count("stored_blob") == 7
        await cleaned_up(api)
        assert await api.count("stored_blob") == 0


async def test_unused_files_are_found_once_and_no_more_than_asked_for(pool: Pool) -> None:
    await pool.execute(
        f"""INSERT INTO stored_blob (sha256, size_bytes, touched_at)
        SELECT sha256(number::text::bytea), 1, {LONG_AGO} FROM generate_series(1, 200) AS number"""
    )
    async with pool.acquire() as connection:
        # The plan in which the choice would be made again for every row.
        for setting in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
            await connection.execute(f"SET enable_{setting} = off")
        rows = await stored_blob.delete_unused(connection, after=b"", untouched_seconds=1, limit=5)
    assert len(rows) == 5
    assert await pool.fetchval("SELECT count(*) FROM stored_blob") == 195


async def test_the_lock_of_a_package_s_folder_goes_with_it(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        folder = data_dir / "packages" / str(uuid4())
        folder.mkdir()
        age(folder)
        async with made_of(server, pool, database_url) as made:
            await discard_of_host(made)
        assert os.listdir(data_dir / "packages") == []


async def test_completed_versions_whose_output_nobody_has_seen_are_looked_at(
    server: RunningServer, api: Api, pool: Pool, database_url: str
) -> None:
    await upload_job(api, mxnet_package())
    await api.record_job(status="RUNNING")
    await upload_job(api, mxnet_package())
    await pool.execute(
        """UPDATE training_job_version
        SET output_object_count = NULL, output_size_bytes = NULL, output_modified_at = NULL, output_checked_at = NULL"""
    )
    await pool.execute("UPDATE training_job_version SET output_store = 'gone' WHERE number = 3")
    assert [each["isImportable"] for each in await outputs(api)] == [False, False, False]
    (blocker,) = (await outputs(api))[0]["importBlockers"]
    assert blocker["code"] == "STORE_UNAVAILABLE"
    assert "not known" in blocker["message"]
    assert "within the hour" in blocker["hint"]
    async with made_of(server, pool, database_url) as made:
        assert await look_at_unseen(made) == 1
        assert await look_at_unseen(made) == 0
    assert [each["isImportable"] for each in await outputs(api)] == [True, False, False]


async def outputs(api: Api) -> list[Any]:
    document = """{ trainingJobVersions(orderBy: {field: CREATED_AT}) {
        nodes { isImportable importBlockers { code message hint } } } }"""
    nodes: list[Any] = (await api.ask(document))["trainingJobVersions"]["nodes"]
    return nodes
