"""Versions of models: what the importer chose, what the import found, and what it stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

_NAMES = """id, workspace_id, model_id, version_number, version, status, description, labels, documents, origin,
    source_kind, training_job_version_id, source_store, source_key, chosen_deployment_types, chosen_runtime,
    chosen_dependencies, minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count,
    minimum_ascend_count, deployment_types, ai_engine, algorithm, requested_runtime, runtime, requirements, config,
    apis, dependencies, metrics, health_check,
    inference_code_path, model_path, size_bytes, digest, problems, warnings, imported_at, revision,
    created_at, created_by, deleted_at"""
COLUMNS = ", ".join(f"model_version.{name.strip()}" for name in _NAMES.split(",")) + ", model.name AS model_name"
_JOINED = """FROM model_version
JOIN model ON model.workspace_id = model_version.workspace_id AND model.id = model_version.model_id"""
INSERT = """
INSERT INTO model_version (
    workspace_id, model_id, version_number, description, labels, documents, origin, source_kind,
    training_job_version_id, chosen_deployment_types, chosen_runtime, chosen_dependencies,
    minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count, minimum_ascend_count, created_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'TRAINING_JOB', $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (workspace_id, model_id, version_number) DO NOTHING
RETURNING id
"""
FIND = f"""
SELECT {COLUMNS}
{_JOINED}
WHERE model_version.workspace_id = $1
AND model_version.id = $2
"""
FIND_BY_NAME = f"""
SELECT {COLUMNS}
{_JOINED}
WHERE model.workspace_id = $1
AND model.name = $2
AND model_version.version_number = $3
"""
LOCK = """
SELECT status, revision
FROM model_version
WHERE workspace_id = $1
AND id = $2
FOR UPDATE
"""
RETRY = """
UPDATE model_version
SET status = 'IMPORTING', problems = '[]', warnings = '[]', size_bytes = NULL, digest = NULL, imported_at = NULL,
    revision = revision + 1,
    chosen_runtime = coalesce($3, chosen_runtime),
    chosen_dependencies = coalesce($4, chosen_dependencies)
WHERE workspace_id = $1
AND id = $2
"""
DESCRIBE = """
UPDATE model_version
SET source_store = $3, source_key = $4, deployment_types = $5, ai_engine = $6, algorithm = $7, requested_runtime = $8,
    runtime = $9, requirements = $10, config = $11, apis = $12, dependencies = $13, metrics = $14, health_check = $15,
    inference_code_path = $16, model_path = $17, warnings = $18, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
INSERT_BLOB = """
INSERT INTO stored_blob (sha256, size_bytes)
VALUES ($1, $2)
ON CONFLICT DO NOTHING
"""
STORE_FILE = """
INSERT INTO model_file (
    workspace_id, model_version_id, path, size_bytes, sha256, source_etag, scan_state, scan_globals, scan_reason
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (workspace_id, model_version_id, path) DO UPDATE
SET size_bytes = excluded.size_bytes, sha256 = excluded.sha256, source_etag = excluded.source_etag,
    scan_state = excluded.scan_state, scan_globals = excluded.scan_globals, scan_reason = excluded.scan_reason
"""
KEEP_FILES = """
DELETE FROM model_file
WHERE workspace_id = $1
AND model_version_id = $2
AND path <> ALL($3::text[])
"""
STORE = """
UPDATE model_version
SET size_bytes = $3, digest = $4, warnings = $5, imported_at = now(), revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
SET_STATUS = """
UPDATE model_version
SET status = $3, problems = $4, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
SET_WARNINGS = """
UPDATE model_version
SET warnings = $3
WHERE workspace_id = $1
AND id = $2
"""
ALL_FILES = """
SELECT path, size_bytes, sha256, source_etag, scan_state, scan_globals, scan_reason
FROM model_file
WHERE workspace_id = $1
AND model_version_id = $2
ORDER BY path COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class NewVersion:
    description: str | None
    labels: Sequence[str]
    documents: list[dict[str, object]]
    origin: str
    training_job_version_id: UUID
    deployment_types: Sequence[str] | None
    runtime: str | None
    dependencies: list[dict[str, object]] | None
    minimum_cpu_count: float | None
    minimum_memory_bytes: int | None
    minimum_gpu_count: float | None
    minimum_ascend_count: int | None


@dataclass(frozen=True, slots=True)
class Description:
    """What a package turned out to be."""

    source_store: str
    source_key: str
    deployment_types: Sequence[str]
    ai_engine: str
    algorithm: str | None
    requested_runtime: str | None
    runtime: str | None
    requirements: Sequence[str] | None
    config: str
    apis: list[dict[str, object]]
    dependencies: list[dict[str, object]]
    metrics: dict[str, object] | None
    health_check: dict[str, object] | None
    inference_code_path: str | None
    model_path: str
    warnings: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    size_bytes: int
    sha256: bytes
    source_etag: str
    scan_state: str
    scan_globals: Sequence[str]
    scan_reason: str | None


async def insert(
    connection: Connection, workspace_id: UUID, model_id: UUID, version_number: int, new: NewVersion, created_by: str
) -> UUID | None:
    """The new version's id, or None where the number has been used."""
    inserted: UUID | None = await connection.fetchval(
        INSERT,
        workspace_id,
        model_id,
        version_number,
        new.description,
        new.labels,
        new.documents,
        new.origin,
        new.training_job_version_id,
        new.deployment_types,
        new.runtime,
        new.dependencies,
        new.minimum_cpu_count,
        new.minimum_memory_bytes,
        new.minimum_gpu_count,
        new.minimum_ascend_count,
        created_by,
    )
    return inserted


async def find(connection: Queryable, workspace_id: UUID, version_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, version_id)


async def find_by_name(
    connection: Queryable, workspace_id: UUID, model_name: str, version_number: int
) -> Record | None:
    if not is_storable(model_name):
        return None
    return await connection.fetchrow(FIND_BY_NAME, workspace_id, model_name, version_number)


async def lock(connection: Connection, workspace_id: UUID, version_id: UUID) -> Record | None:
    return await connection.fetchrow(LOCK, workspace_id, version_id)


async def retry(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    runtime: str | None,
    dependencies: list[dict[str, object]] | None,
) -> None:
    await connection.execute(RETRY, workspace_id, version_id, runtime, dependencies)


async def describe(connection: Connection, workspace_id: UUID, version_id: UUID, found: Description) -> None:
    await connection.execute(
        DESCRIBE,
        workspace_id,
        version_id,
        found.source_store,
        found.source_key,
        found.deployment_types,
        found.ai_engine,
        found.algorithm,
        found.requested_runtime,
        found.runtime,
        found.requirements,
        found.config,
        found.apis,
        found.dependencies,
        found.metrics,
        found.health_check,
        found.inference_code_path,
        found.model_path,
        found.warnings,
    )


async def store_file(connection: Connection, workspace_id: UUID, version_id: UUID, file: StoredFile) -> None:
    """Record a file whose bytes are stored."""
    await connection.execute(INSERT_BLOB, file.sha256, file.size_bytes)
    await connection.execute(
        STORE_FILE,
        workspace_id,
        version_id,
        file.path,
        file.size_bytes,
        file.sha256,
        file.source_etag,
        file.scan_state,
        file.scan_globals,
        file.scan_reason,
    )


async def keep_files(connection: Connection, workspace_id: UUID, version_id: UUID, paths: Sequence[str]) -> None:
    """Forget files of earlier attempts that the package no longer holds."""
    await connection.execute(KEEP_FILES, workspace_id, version_id, paths)


async def store(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    *,
    size_bytes: int,
    digest: bytes,
    warnings: list[dict[str, object]],
) -> None:
    await connection.execute(STORE, workspace_id, version_id, size_bytes, digest, warnings)


async def set_status(
    connection: Connection, workspace_id: UUID, version_id: UUID, status: str, problems: list[dict[str, object]]
) -> None:
    await connection.execute(SET_STATUS, workspace_id, version_id, status, problems)


async def set_warnings(
    connection: Connection, workspace_id: UUID, version_id: UUID, warnings: list[dict[str, object]]
) -> None:
    await connection.execute(SET_WARNINGS, workspace_id, version_id, warnings)


async def all_files(connection: Queryable, workspace_id: UUID, version_id: UUID) -> list[Record]:
    return await connection.fetch(ALL_FILES, workspace_id, version_id)
