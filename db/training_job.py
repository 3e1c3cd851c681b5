"""Training jobs and their versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

VERSION_COLUMNS = """id, workspace_id, training_job_id, number, name, status, status_message, algorithm_kind,
    built_in_algorithm, ai_engine, ai_engine_version, image, parameters, metrics, architecture, region,
    output_store, output_key, is_output_assigned, output_object_count, started_at, finished_at, revision, created_at,
    created_by"""
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
# An assigned output is nobody's before, so that it is known to be empty.
INSERT_VERSION = f"""
INSERT INTO training_job_version (
    workspace_id, training_job_id, number, status, algorithm_kind, built_in_algorithm, ai_engine, ai_engine_version,
    image, parameters, metrics, architecture, region, output_store, output_key, is_output_assigned,
    output_object_count, output_size_bytes, output_checked_at, started_at, finished_at, created_by
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
    CASE WHEN $16 THEN 0 END, CASE WHEN $16 THEN 0 END, CASE WHEN $16 THEN now() END, $17, $18, $19
)
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
FIND_OUTPUT = """
SELECT id, workspace_id, status, output_store, output_key, output_object_count, now() AS read_at
FROM training_job_version
WHERE workspace_id = $1
AND id = $2
"""
# Who began to look last knows best, whoever is done first.
SET_CONTENTS = """
UPDATE training_job_version
SET output_object_count = $3, output_size_bytes = $4, output_modified_at = $5, output_checked_at = $6
WHERE workspace_id = $1
AND id = $2
AND (output_checked_at IS NULL OR output_checked_at <= $6)
"""
FORGET_EMPTY_CONTENTS = """
UPDATE training_job_version
SET output_object_count = NULL, output_size_bytes = NULL, output_modified_at = NULL, output_checked_at = NULL
WHERE workspace_id = $1
AND id = $2
AND output_object_count = 0
"""
# Any of them, so that those which cannot be looked at keep none from its turn.
UNSEEN_OUTPUTS = """
SELECT workspace_id, id
FROM training_job_version
WHERE status = 'COMPLETED'
AND output_object_count IS NULL
AND output_store = ANY($1::text[])
ORDER BY random()
LIMIT $2
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


@dataclass(slots=True)
class Contents:
    """What lies in an output, summed up; `modified_at` is when the newest object was written."""

    object_count: int = 0
    size_bytes: int = 0
    modified_at: datetime | None = None

    def add(self, size_bytes: int, modified_at: datetime) -> None:
        self.object_count += 1
        self.size_bytes += size_bytes
        self.modified_at = max(self.modified_at or modified_at, modified_at)


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


async def find_output(connection: Queryable, workspace_id: UUID, version_id: UUID) -> Record:
    """Where a version's output is, how many objects it was last seen to hold, and what time it is now."""
    row = await connection.fetchrow(FIND_OUTPUT, workspace_id, version_id)
    assert row is not None
    return row


async def set_contents(
    connection: Queryable, workspace_id: UUID, version_id: UUID, contents: Contents, looked_at: datetime
) -> None:
    """Keep what a look found that began at this moment, by Postgres' clock; a later look's findings stay."""
    await connection.execute(
        SET_CONTENTS,
        workspace_id,
        version_id,
        contents.object_count,
        contents.size_bytes,
        contents.modified_at,
        looked_at,
    )


async def forget_empty_contents(connection: Queryable, workspace_id: UUID, version_id: UUID) -> None:
    """That an output was empty says nothing any more where another look could not be had."""
    await connection.execute(FORGET_EMPTY_CONTENTS, workspace_id, version_id)


async def unseen_outputs(connection: Queryable, stores: Sequence[str], *, limit: int) -> list[tuple[UUID, UUID]]:
    """Completed versions in these stores, of which nobody knows what they left: each with its workspace first."""
    rows = await connection.fetch(UNSEEN_OUTPUTS, stores, limit)
    return [(row["workspace_id"], row["id"]) for row in rows]


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
