"""Training jobs and their versions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

VERSION_COLUMNS = """id, workspace_id, training_job_id, number, name, status, status_message, algorithm_kind,
    built_in_algorithm, ai_engine, ai_engine_version, image, parameters, metrics, architecture, region,
    output_store, output_key, is_output_assigned, started_at, finished_at, revision, created_at, created_by"""
# One statement makes the job or finds it, and gives out its next version number: concurrent callers wait here.
NEXT_NUMBER = """
INSERT INTO training_job (workspace_id, name, description, created_by, last_version_number)
VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (workspace_id, name) DO UPDATE
SET last_version_number = training_job.last_version_number + 1,
    description = coalesce($3, training_job.description),
    revision = training_job.revision + 1
RETURNING id, last_version_number
"""
INSERT_VERSION = f"""
INSERT INTO training_job_version (
    workspace_id, training_job_id, number, status, algorithm_kind, built_in_algorithm, ai_engine, ai_engine_version,
    image, parameters, metrics, architecture, region, output_store, output_key, is_output_assigned,
    started_at, finished_at, created_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
RETURNING {VERSION_COLUMNS}
"""
REPORT = f"""
UPDATE training_job_version
SET status = coalesce($3, status),
    status_message = coalesce($4, status_message),
    metrics = coalesce($5, metrics),
    started_at = coalesce($6, started_at),
    finished_at = coalesce($7, finished_at),
    revision = revision + 1
WHERE workspace_id = $1
AND id = $2
RETURNING {VERSION_COLUMNS}
"""
FIND_VERSION = f"""
SELECT {VERSION_COLUMNS}
FROM training_job_version
WHERE workspace_id = $1
AND id = $2
"""
FIND_VERSION_BY_NAME = """
SELECT training_job_version.id
FROM training_job
JOIN training_job_version
    ON training_job_version.workspace_id = training_job.workspace_id
    AND training_job_version.training_job_id = training_job.id
WHERE training_job.workspace_id = $1
AND training_job.name = $2
AND training_job_version.number = $3
"""
LOCK_VERSION = f"""
SELECT {VERSION_COLUMNS}
FROM training_job_version
WHERE workspace_id = $1
AND id = $2
FOR UPDATE
"""
VERSION_NAMES = """
SELECT training_job_version.name
FROM training_job
JOIN training_job_version
    ON training_job_version.workspace_id = training_job.workspace_id
    AND training_job_version.training_job_id = training_job.id
WHERE training_job.workspace_id = $1
AND training_job.name = $2
ORDER BY training_job_version.number DESC
LIMIT 20
"""


@dataclass(frozen=True, slots=True)
class NewVersion:
    status: str
    algorithm_kind: str
    built_in_algorithm: str | None
    ai_engine: str | None
    ai_engine_version: str | None
    image: str | None
    parameters: list[dict[str, object]]
    metrics: list[dict[str, object]]
    architecture: str | None
    region: str
    output_store: str
    output_key: str
    is_output_assigned: bool
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a report changes; None leaves a column as it is."""

    status: str | None
    status_message: str | None
    metrics: list[dict[str, object]] | None
    started_at: datetime | None
    finished_at: datetime | None


async def next_number(
    connection: Connection, workspace_id: UUID, name: str, description: str | None, created_by: str
) -> tuple[UUID, int]:
    row = await connection.fetchrow(NEXT_NUMBER, workspace_id, name, description, created_by)
    assert row is not None
    return row["id"], row["last_version_number"]


async def insert_version(
    connection: Connection, workspace_id: UUID, training_job_id: UUID, number: int, new: NewVersion, created_by: str
) -> Record:
    row = await connection.fetchrow(
        INSERT_VERSION,
        workspace_id,
        training_job_id,
        number,
        new.status,
        new.algorithm_kind,
        new.built_in_algorithm,
        new.ai_engine,
        new.ai_engine_version,
        new.image,
        new.parameters,
        new.metrics,
        new.architecture,
        new.region,
        new.output_store,
        new.output_key,
        new.is_output_assigned,
        new.started_at,
        new.finished_at,
        created_by,
    )
    assert row is not None
    return row


async def report(connection: Connection, workspace_id: UUID, version_id: UUID, report: Report) -> None:
    await connection.execute(
        REPORT,
        workspace_id,
        version_id,
        report.status,
        report.status_message,
        report.metrics,
        report.started_at,
        report.finished_at,
    )


async def find_version(connection: Queryable, workspace_id: UUID, version_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND_VERSION, workspace_id, version_id)


async def lock_version(connection: Connection, workspace_id: UUID, version_id: UUID) -> Record | None:
    return await connection.fetchrow(LOCK_VERSION, workspace_id, version_id)


async def find_version_id(connection: Queryable, workspace_id: UUID, job_name: str, number: int) -> UUID | None:
    if not is_storable(job_name):
        return None
    found: UUID | None = await connection.fetchval(FIND_VERSION_BY_NAME, workspace_id, job_name, number)
    return found


async def version_names(connection: Queryable, workspace_id: UUID, job_name: str) -> list[str]:
    """The names of a job's newest versions, at most 20."""
    if not is_storable(job_name):
        return []
    return [row["name"] for row in await connection.fetch(VERSION_NAMES, workspace_id, job_name)]
