"""How much a workspace keeps in storage."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection

# Each file of each version has a row; those of purged versions are gone.
SUM = """
WITH version AS (
    SELECT count(*) AS version_count, sum(size_bytes) AS size_bytes
    FROM model_version
    WHERE workspace_id = $1
    AND deleted_at IS NULL
),
deleted AS (
    SELECT sum(model_version.size_bytes) AS size_bytes, sum(file.file_count) AS file_count
    FROM model_version
    CROSS JOIN LATERAL (
        SELECT count(*) AS file_count
        FROM model_file
        WHERE model_file.workspace_id = model_version.workspace_id
        AND model_file.model_version_id = model_version.id
    ) AS file
    WHERE model_version.workspace_id = $1
    AND model_version.deleted_at IS NOT NULL
    AND model_version.purged_at IS NULL
),
stored AS (
    SELECT sum(held.size_bytes) AS size_bytes, sum(held.file_count) AS file_count
    FROM (
        SELECT max(size_bytes) AS size_bytes, count(*) AS file_count
        FROM model_file
        WHERE workspace_id = $1
        GROUP BY sha256
    ) AS held
),
uploaded AS (
    SELECT sum(upload_file.size_bytes) AS size_bytes
    FROM upload
    JOIN upload_file ON upload_file.workspace_id = upload.workspace_id AND upload_file.upload_id = upload.id
    WHERE upload.workspace_id = $1
    AND upload.state = 'OPEN'
)
SELECT version.version_count,
    coalesce(version.size_bytes, 0)::bigint AS model_bytes,
    coalesce(stored.size_bytes, 0)::bigint AS stored_bytes,
    coalesce(deleted.size_bytes, 0)::bigint AS deleted_bytes,
    coalesce(uploaded.size_bytes, 0)::bigint AS upload_bytes,
    coalesce(stored.file_count, 0)::bigint - coalesce(deleted.file_count, 0)::bigint AS file_count
FROM version, deleted, stored, uploaded
"""


async def usage(connection: Connection, workspace_id: UUID) -> Record:
    row = await connection.fetchrow(SUM, workspace_id)
    assert row is not None
    return row
