"""Rows of an older version: what they are once the newest migrations were applied, as its clients see them."""

from pathlib import Path
from typing import Any

from db.migrate import migrate, read_migrations
from db.pool import connection, create_pool
from tests.api import Api, running_server, wait_for

# Before imports told what lies in an output, and of what models are called beside their versions.
OLDER = 3
ROWS = """
INSERT INTO workspace (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'default');
INSERT INTO training_job (id, workspace_id, name, last_version_number, created_by)
SELECT '00000000-0000-7000-8000-000000000002', id, 'iris', 4, 'test' FROM workspace;
INSERT INTO training_job_version (
    id, workspace_id, training_job_id, number, status, algorithm_kind, ai_engine, region, output_store, output_key,
    is_output_assigned, created_by
)
SELECT ('00000000-0000-7000-8000-00000000001' || given.number)::uuid, job.workspace_id, job.id, given.number,
    given.status, 'FRAMEWORK', 'SCIKIT_LEARN', 'local', 'default', given.output_key, given.is_assigned, 'test'
FROM training_job AS job, (VALUES
    (1, 'COMPLETED', 'uploaded', true), (2, 'COMPLETED', 'empty', true), (3, 'COMPLETED', 'shared/iris', false),
    (4, 'RUNNING', 'shared/running', false)
) AS given (number, status, output_key, is_assigned);
INSERT INTO upload (
    id, workspace_id, training_job_version_id, state, expires_at, completed_at, created_by
)
SELECT ('00000000-0000-7000-8000-00000000002' || number)::uuid, workspace_id, id,
    CASE number WHEN 1 THEN 'COMPLETED' ELSE 'OPEN' END, now() + interval '1 day',
    CASE number WHEN 1 THEN timestamptz '2026-01-31 12:00Z' END, 'test'
FROM training_job_version
WHERE number <= 2;
INSERT INTO upload_file (workspace_id, upload_id, number, path, size_bytes)
SELECT workspace_id, id, given.number, given.path, given.size_bytes
FROM upload, (VALUES (1, 'model/config.json', 2), (2, 'model/model.m', 40)) AS given (number, path, size_bytes);
INSERT INTO model (id, workspace_id, name, last_version_number, version_count, created_by)
SELECT '00000000-0000-7000-8000-000000000003', id, 'flowers', 2, 2, 'test' FROM workspace;
INSERT INTO model_version (
    workspace_id, model_id, version_number, status, origin, source_kind, training_job_version_id, source_store,
    source_key, ai_engine, size_bytes, digest, imported_at, created_by
)
SELECT model.workspace_id, model.id, given.number, given.status, 'CUSTOM_ALGORITHM', 'TRAINING_JOB',
    '00000000-0000-7000-8000-000000000011', 'default', 'uploaded/model', 'SCIKIT_LEARN', given.size_bytes, given.digest,
    given.imported_at, 'test'
FROM model, (VALUES
    (1, 'NORMAL', 42::bigint, '\\xaa'::bytea, now()), (2, 'IMPORT_FAILED', NULL, NULL, NULL)
) AS given (number, status, size_bytes, digest, imported_at);
INSERT INTO stored_blob (sha256, size_bytes, created_at) VALUES ('\\xbb', 7, now() - interval '1 year');
"""
OUTPUTS = """{ trainingJobVersions(orderBy: {field: CREATED_AT}) { nodes {
    name isImportable importBlockers { code } outputContents { objectCount sizeBytes } } } }"""
MODELS = """{ models { nodes { name versions { nodes {
    version modelName status digest sizeBytes deletedAt scan { state } integrity { state } } } } } }"""


async def outputs(api: Api) -> Any:
    nodes = (await api.ask(OUTPUTS))["trainingJobVersions"]["nodes"]
    return {
        node["name"]: (node["isImportable"], [each["code"] for each in node["importBlockers"]], node["outputContents"])
        for node in sorted(nodes, key=lambda node: str(node["name"]))
    }


async def test_what_an_older_version_stored_is_there_after_its_migration(
    empty_database_url: str, data_dir: Path
) -> None:
    await migrate(empty_database_url, read_migrations()[:OLDER])
    async with connection(empty_database_url) as session:
        await session.execute(ROWS)
    shared = data_dir / "objects" / "shared" / "iris" / "model" / "config.json"
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"{}")
    assert await migrate(empty_database_url) == [migration.name for migration in read_migrations()[OLDER:]]

    async with await create_pool(empty_database_url, size=5) as pool:
        known = "SELECT output_object_count FROM training_job_version ORDER BY number"
        assert [row["output_object_count"] for row in await pool.fetch(known)] == [2, None, None, None]
        touched = await pool.fetchval("SELECT touched_at > now() - interval '1 hour' FROM stored_blob")
        assert touched, "what was there before is not taken for unused at once"
        async with running_server(pool, empty_database_url, data_dir) as server:
            api = server.client()
            looked = "SELECT count(*) = 3 FROM training_job_version WHERE output_object_count IS NOT NULL"
            await wait_for(lambda: pool.fetchval(looked))
            assert await outputs(api) == {
                "V0001": (True, [], {"objectCount": 2, "sizeBytes": 42}),
                "V0002": (False, ["OUTPUT_EMPTY"], {"objectCount": 0, "sizeBytes": 0}),
                "V0003": (True, [], {"objectCount": 1, "sizeBytes": 2}),
                "V0004": (False, ["TRAINING_JOB_NOT_COMPLETED", "STORE_UNAVAILABLE"], None),
            }
            unknown = {
                "modelName": "flowers",
                "deletedAt": None,
                "scan": None,
                "integrity": None,
            }
            (model,) = (await api.ask(MODELS))["models"]["nodes"]
            versions = {each["version"]: each for each in model["versions"]["nodes"]}
            imported = {"version": "0.0.1", "status": "NORMAL", "digest": "aa", "sizeBytes": 42, **unknown}
            failed = {"version": "0.0.2", "status": "IMPORT_FAILED", "digest": None, "sizeBytes": None, **unknown}
            assert (model["name"], versions) == ("flowers", {"0.0.1": imported, "0.0.2": failed})
