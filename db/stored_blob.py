"""Bytes of imported files, of all workspaces: which there are, and when each was last brought in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from db.connection import Connection, Queryable

# In one order for everybody, so that two imports of the same files never wait for each other in a circle.
TOUCH = """
INSERT INTO stored_blob (sha256, size_bytes)
SELECT brought.sha256, brought.size_bytes
FROM unnest($1::bytea[], $2::bigint[]) AS brought (sha256, size_bytes)
ORDER BY brought.sha256
ON CONFLICT (sha256) DO UPDATE
SET touched_at = now()
"""
# Whoever brings the same bytes in touches the row first, and waits for this transaction where it has the row already.
# Materialized: what a join runs again would skip what it has just locked, and go beyond the limit.
DELETE_UNUSED = """
WITH unused AS MATERIALIZED (
    SELECT blob.sha256
    FROM stored_blob AS blob
    WHERE blob.sha256 > $1
    AND blob.touched_at < now() - make_interval(secs => $2)
    AND NOT EXISTS (
        SELECT 1
        FROM model_file
        WHERE model_file.sha256 = blob.sha256
    )
    ORDER BY blob.sha256
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
DELETE FROM stored_blob
USING unused
WHERE stored_blob.sha256 = unused.sha256
RETURNING stored_blob.sha256, stored_blob.size_bytes
"""
ADOPT = """
INSERT INTO stored_blob (sha256, size_bytes, created_at, touched_at)
SELECT given.sha256, given.size_bytes, given.written_at, given.written_at
FROM unnest($1::bytea[], $2::bigint[], $3::timestamptz[]) AS given (sha256, size_bytes, written_at)
ON CONFLICT DO NOTHING
RETURNING sha256
"""


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """Bytes that lie in the store."""

    sha256: bytes
    size_bytes: int
    written_at: datetime


async def touch(connection: Queryable, sizes: Mapping[bytes, int]) -> None:
    """Say that these blobs, sizes by SHA-256, are being brought in: nobody deletes them within a day from now.

    Waits for whoever deletes one of them, and must be committed before it is looked whether the bytes are there.
    """
    await connection.execute(TOUCH, list(sizes), list(sizes.values()))


async def delete_unused(connection: Connection, *, after: bytes, untouched_seconds: float, limit: int) -> list[Record]:
    """Forget blobs that no version of any workspace holds and nobody touched for so long, the first ones `after`.

    Their rows are locked until the transaction ends: within it, their bytes are to be deleted.
    """
    return await connection.fetch(DELETE_UNUSED, after, untouched_seconds, limit)


async def adopt(connection: Queryable, blobs: Sequence[FoundBlob]) -> int:
    """Give a row to bytes that have none, as untouched since they were written: how many there were."""
    rows = await connection.fetch(
        ADOPT,
        [blob.sha256 for blob in blobs],
        [blob.size_bytes for blob in blobs],
        [blob.written_at for blob in blobs],
    )
    return len(rows)
