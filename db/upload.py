"""Uploads of a training job version's output, and the files that each announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

COLUMNS = """id, workspace_id, training_job_version_id, state, expires_at, completed_at, created_at, created_by"""
FILE_COLUMNS = "workspace_id, upload_id, number, path, size_bytes, store_upload_id"
INSERT = """
INSERT INTO upload (workspace_id, training_job_version_id, expires_at, created_by)
VALUES ($1, $2, $3, $4)
RETURNING id
"""
INSERT_FILES = """
INSERT INTO upload_file (workspace_id, upload_id, number, path, size_bytes)
SELECT $1, $2, given.number, given.path, given.size_bytes
FROM unnest($3::text[], $4::bigint[]) WITH ORDINALITY AS given (path, size_bytes, number)
"""
SET_STORE_UPLOAD = """
UPDATE upload_file
SET store_upload_id = $4
WHERE workspace_id = $1
AND upload_id = $2
AND number = $3
AND store_upload_id IS NULL
RETURNING store_upload_id
"""
FIND = f"""
SELECT {COLUMNS}
FROM upload
WHERE workspace_id = $1
AND id = $2
"""
FILES = f"""
SELECT {FILE_COLUMNS}
FROM upload_file
WHERE workspace_id = $1
AND upload_id = $2
ORDER BY number
"""
COMPLETE = """
UPDATE upload
SET state = 'COMPLETED', completed_at = now()
WHERE workspace_id = $1
AND id = $2
AND state = 'OPEN'
RETURNING true
"""
EXPIRED = """
SELECT id, workspace_id, training_job_version_id
FROM upload
WHERE workspace_id = $1
AND state = 'OPEN'
AND expires_at < now() - make_interval(secs => $2)
AND id > $3
ORDER BY id
LIMIT 100
"""
# The tidying works for every workspace: no caller reaches this statement.
EXPIRED_ANYWHERE = """
SELECT id, workspace_id, training_job_version_id
FROM upload
WHERE state = 'OPEN'
AND expires_at < now() - make_interval(secs => $1)
AND id > $2
ORDER BY id
LIMIT 100
"""
EXPIRE = """
UPDATE upload
SET state = 'EXPIRED'
WHERE workspace_id = $1
AND id = $2
AND state = 'OPEN'
"""


@dataclass(frozen=True, slots=True)
class NewFile:
    path: str
    size_bytes: int


async def insert(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    files: Sequence[NewFile],
    expires_at: datetime,
    created_by: str,
) -> UUID:
    upload_id: UUID = await connection.fetchval(INSERT, workspace_id, version_id, expires_at, created_by)
    await connection.execute(
        INSERT_FILES, workspace_id, upload_id, [file.path for file in files], [file.size_bytes for file in files]
    )
    return upload_id


async def set_store_upload(
    connection: Queryable, workspace_id: UUID, upload_id: UUID, number: int, store_upload_id: str
) -> bool:
    """Keep the store's own id of a file's upload; False where another request was first."""
    stored = await connection.fetchval(SET_STORE_UPLOAD, workspace_id, upload_id, number, store_upload_id)
    return stored is not None


async def find(connection: Queryable, workspace_id: UUID, upload_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, upload_id)


async def files(connection: Queryable, workspace_id: UUID, upload_id: UUID) -> list[Record]:
    return await connection.fetch(FILES, workspace_id, upload_id)


async def complete(connection: Connection, workspace_id: UUID, upload_id: UUID) -> bool:
    """Whether this call completed it: another may have been first."""
    return await connection.fetchval(COMPLETE, workspace_id, upload_id) is not None


async def expired(connection: Queryable, workspace_id: UUID, grace_seconds: float, *, after: UUID) -> list[Record]:
    """A workspace's uploads, at most 100, that were never completed and are past their time for so long."""
    return await connection.fetch(EXPIRED, workspace_id, grace_seconds, after)


async def expired_anywhere(connection: Queryable, grace_seconds: float, *, after: UUID) -> list[Record]:
    """Such uploads of all workspaces."""
    return await connection.fetch(EXPIRED_ANYWHERE, grace_seconds, after)


async def expire(connection: Queryable, workspace_id: UUID, upload_id: UUID) -> None:
    await connection.execute(EXPIRE, workspace_id, upload_id)
