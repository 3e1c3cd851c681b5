"""Versions of models: what the importer chose, what the import found, and what it stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

_NAMES = """id, workspace_id, model_id, model_name, version_number, version, status, description, labels, documents,
    origin, source_kind, training_job_version_id, chosen_store, chosen_key, template, chosen_input_output_mode, image,
    image_command, chosen_health_check, chosen_config, chosen_apis, chosen_deployment_types, chosen_runtime,
    chosen_dependencies, minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count, minimum_ascend_count,
    source_store, source_key, input_output_mode, deployment_types, ai_engine, algorithm, requested_runtime, runtime,
    requirements, config, apis, dependencies, metrics, health_check, inference_code_path, model_path, size_bytes,
    digest, scan, provenance, integrity, problems, warnings, imported_at, revision, created_at, created_by,
    deleted_at, restorable_until, purged_at"""
_STATE = "model_version.integrity ->> 'state' AS integrity_state"
COLUMNS = ", ".join([*(f"model_version.{name.strip()}" for name in _NAMES.split(",")), _STATE])
INSERT = """
INSERT INTO model_version (
    workspace_id, model_id, model_name, version_number, description, labels, documents, origin,
    training_job_version_id, chosen_deployment_types, chosen_runtime, chosen_dependencies,
    minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count, minimum_ascend_count, created_by,
    source_kind, chosen_store, chosen_key, template, chosen_input_output_mode, image, image_command,
    chosen_health_check, chosen_config, chosen_apis
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25, $26, $27)
ON CONFLICT (workspace_id, model_id, version_number) DO NOTHING
RETURNING id
"""
FIND = f"""
SELECT {COLUMNS}
FROM model_version
WHERE workspace_id = $1
AND id = $2
"""
FIND_BY_NAME = f"""
SELECT {COLUMNS}
FROM model_version
JOIN model ON model.workspace_id = model_version.workspace_id AND model.id = model_version.model_id
WHERE model.workspace_id = $1
AND model.name = $2
AND model_version.version_number = $3
"""
LOCK = """
SELECT status, revision, source_kind
FROM model_version
WHERE workspace_id = $1
AND id = $2
FOR NO KEY UPDATE
"""
RETRY = """
UPDATE model_version
SET status = 'IMPORTING', problems = '[]', revision = revision + 1,
    chosen_runtime = coalesce($3, chosen_runtime),
    chosen_dependencies = coalesce($4, chosen_dependencies)
WHERE workspace_id = $1
AND id = $2
"""
# Of a version that has no whole copy: what an attempt found is not what the next one will find.
FORGET_FINDINGS = """
UPDATE model_version
SET warnings = '[]', size_bytes = NULL, digest = NULL, provenance = NULL, scan = NULL, integrity = NULL,
    verified_at = NULL
WHERE workspace_id = $1
AND id = $2
AND imported_at IS NULL
"""
DESCRIBE_AGAIN = """
UPDATE model_version
SET runtime = $3, requirements = $4, config = $5, dependencies = $6, warnings = $7, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
DESCRIBE = """
UPDATE model_version
SET source_store = $3, source_key = $4, deployment_types = $5, ai_engine = $6, algorithm = $7, requested_runtime = $8,
    runtime = $9, requirements = $10, config = $11, apis = $12, dependencies = $13, metrics = $14, health_check = $15,
    inference_code_path = $16, model_path = $17, warnings = $18, input_output_mode = $19, container = $20,
    revision = revision + 1
WHERE workspace_id = $1
AND id = $2
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
AND NOT EXISTS (
    SELECT 1
    FROM unnest($3::text[]) AS kept (path)
    WHERE kept.path = model_file.path
)
"""
SET_FINDINGS = """
UPDATE model_version
SET scan = $3, provenance = $4
WHERE workspace_id = $1
AND id = $2
"""
SET_INTEGRITY = """
UPDATE model_version
SET integrity = $3, verified_at = now()
WHERE workspace_id = $1
AND id = $2
AND imported_at = $4
RETURNING true
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
ANNOTATE = """
UPDATE model_version
SET description = $3, labels = $4, documents = $5, minimum_cpu_count = $6, minimum_memory_bytes = $7,
    minimum_gpu_count = $8, minimum_ascend_count = $9, revision = revision + 1
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
class Source:
    """Where a version is to be imported from; what a source of another kind would say is None."""

    kind: str
    training_job_version_id: UUID | None = None
    store: str | None = None
    key: str | None = None
    template: str | None = None
    input_output_mode: str | None = None
    image: str | None = None
    command: str | None = None
    health_check: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """`apis` are as config.json has them; the columns named chosen_… keep what the importer said."""

    description: str | None
    labels: Sequence[str]
    documents: list[dict[str, object]]
    origin: str
    source: Source
    config: str | None
    apis: list[dict[str, object]] | None
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

    source_store: str | None
    source_key: str | None
    input_output_mode: str | None
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
    container: dict[str, object] | None
    inference_code_path: str | None
    model_path: str
    warnings: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: str
    size_bytes: int
    sha256: bytes
    source_etag: str | None
    scan_state: str
    scan_globals: Sequence[str]
    scan_reason: str | None


@dataclass(frozen=True, slots=True)
class Annotation:
    """What people say of a version, which can be changed as long as it is there."""

    description: str | None
    labels: Sequence[str]
    documents: list[dict[str, object]]
    minimum_cpu_count: float | None
    minimum_memory_bytes: int | None
    minimum_gpu_count: float | None
    minimum_ascend_count: int | None


async def insert(
    connection: Connection,
    workspace_id: UUID,
    model_id: UUID,
    model_name: str,
    version_number: int,
    new: NewVersion,
    created_by: str,
) -> UUID | None:
    """The new version's id, or None where the number has been used."""
    source = new.source
    inserted: UUID | None = await connection.fetchval(
        INSERT,
        workspace_id,
        model_id,
        model_name,
        version_number,
        new.description,
        new.labels,
        new.documents,
        new.origin,
        source.training_job_version_id,
        new.deployment_types,
        new.runtime,
        new.dependencies,
        new.minimum_cpu_count,
        new.minimum_memory_bytes,
        new.minimum_gpu_count,
        new.minimum_ascend_count,
        created_by,
        source.kind,
        source.store,
        source.key,
        source.template,
        source.input_output_mode,
        source.image,
        source.command,
        source.health_check,
        new.config,
        new.apis,
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
    """Begin again: with the whole copy where there is one, else from the source."""
    await connection.execute(RETRY, workspace_id, version_id, runtime, dependencies)
    await connection.execute(FORGET_FINDINGS, workspace_id, version_id)


async def describe_again(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    *,
    runtime: str | None,
    requirements: Sequence[str] | None,
    config: str,
    dependencies: list[dict[str, object]],
    warnings: list[dict[str, object]],
) -> None:
    """What follows from an importer's newer choices for a package that is stored already."""
    await connection.execute(
        DESCRIBE_AGAIN, workspace_id, version_id, runtime, requirements, config, dependencies, warnings
    )


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
        found.input_output_mode,
        found.container,
    )


async def store_files(
    connection: Connection, workspace_id: UUID, version_id: UUID, files: Sequence[StoredFile]
) -> None:
    """Record files whose bytes are stored; their blobs were touched (db.stored_blob)."""
    rows = [
        (
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
        for file in files
    ]
    await connection.executemany(STORE_FILE, rows)


async def keep_files(connection: Connection, workspace_id: UUID, version_id: UUID, paths: Sequence[str]) -> None:
    """Forget files of earlier attempts that the package no longer holds."""
    await connection.execute(KEEP_FILES, workspace_id, version_id, paths)


async def set_findings(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    *,
    scan: dict[str, object],
    provenance: dict[str, object] | None,
) -> None:
    """Keep what the copy showed, also of a package that is refused for it."""
    await connection.execute(SET_FINDINGS, workspace_id, version_id, scan, provenance)


async def set_integrity(
    connection: Connection, workspace_id: UUID, version_id: UUID, integrity: dict[str, object], imported_at: datetime
) -> bool:
    """Keep what a verification found; False where the version was imported anew since it began."""
    return await connection.fetchval(SET_INTEGRITY, workspace_id, version_id, integrity, imported_at) is not None


async def store(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    *,
    size_bytes: int | None,
    digest: bytes | None,
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


async def annotate(connection: Connection, workspace_id: UUID, version_id: UUID, said: Annotation) -> None:
    await connection.execute(
        ANNOTATE,
        workspace_id,
        version_id,
        said.description,
        said.labels,
        said.documents,
        said.minimum_cpu_count,
        said.minimum_memory_bytes,
        said.minimum_gpu_count,
        said.minimum_ascend_count,
    )
