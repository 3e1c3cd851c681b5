"""Background operations: the row that says what is asked for, how far it is, and what became of it."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

COLUMNS = """id, workspace_id, kind, state, stage, progress, attempts, error, subject_id,
    created_at, created_by, started_at, finished_at"""
INSERT = f"""
INSERT INTO operation (workspace_id, kind, subject_id, created_by)
VALUES ($1, $2, $3, $4)
RETURNING {COLUMNS}
"""
FIND = f"""
SELECT {COLUMNS}
FROM operation
WHERE workspace_id = $1
AND id = $2
"""
LOCK = f"""
SELECT {COLUMNS}
FROM operation
WHERE workspace_id = $1
AND id = $2
FOR UPDATE
"""
FIND_UNDER_WAY = f"""
SELECT {COLUMNS}
FROM operation
WHERE workspace_id = $1
AND subject_id = $2
AND kind = $3
AND state IN ('QUEUED', 'RUNNING')
ORDER BY id
LIMIT 1
"""
# The queue gives a handler only the operation's id; the row says whose it is.
CLAIM = f"""
UPDATE operation
SET state = 'RUNNING', attempts = attempts + 1, started_at = coalesce(started_at, now())
WHERE id = $1
AND state IN ('QUEUED', 'RUNNING')
RETURNING {COLUMNS}
"""
# A handler that was taken for dead may still run: it no longer has the row's attempt, and writes nothing.
HOLD = """
SELECT true
FROM operation
WHERE workspace_id = $1
AND id = $2
AND state = 'RUNNING'
AND attempts = $3
FOR UPDATE
"""
ADVANCE = """
UPDATE operation
SET stage = $4, progress = $5
WHERE workspace_id = $1
AND id = $2
AND attempts = $3
AND state = 'RUNNING'
RETURNING true
"""
FINISH = """
UPDATE operation
SET state = $3, error = $4, finished_at = now(), progress = CASE WHEN $3 = 'SUCCEEDED' THEN 1 ELSE progress END
WHERE workspace_id = $1
AND id = $2
AND state IN ('QUEUED', 'RUNNING')
"""
# The queue's entry holds the operation's id. This statement and the next are the worker's, no caller reaches them.
LOST = """
SELECT id
FROM operation
WHERE kind = $1
AND state IN ('QUEUED', 'RUNNING')
AND created_at < now() - interval '1 minute'
AND NOT EXISTS (
    SELECT 1
    FROM pgqueuer
    WHERE pgqueuer.entrypoint = $1
    AND pgqueuer.payload = uuid_send(operation.id)
)
ORDER BY id
LIMIT 100
"""
GIVE_BACK = """
UPDATE operation
SET attempts = attempts - 1
WHERE id = $1
AND state = 'RUNNING'
"""
ADVANCE_SUBJECT = """
UPDATE operation
SET state = 'RUNNING', started_at = coalesce(started_at, now()), stage = $3, progress = $4,
    attempts = greatest(attempts, 1)
WHERE workspace_id = $1
AND subject_id = $2
AND state IN ('QUEUED', 'RUNNING')
"""
SECONDS_UNDER_WAY = """
SELECT extract(epoch FROM now() - created_at)::double precision
FROM operation
WHERE workspace_id = $1
AND subject_id = $2
AND state IN ('QUEUED', 'RUNNING')
ORDER BY id DESC
LIMIT 1
"""
FINISH_SUBJECT = """
UPDATE operation
SET state = $3, error = $4, finished_at = now(), progress = CASE WHEN $3 = 'SUCCEEDED' THEN 1 ELSE progress END
WHERE workspace_id = $1
AND subject_id = $2
AND state IN ('QUEUED', 'RUNNING')
RETURNING id, kind
"""
CANCEL_SUBJECT = """
UPDATE operation
SET state = 'CANCELLED', finished_at = now()
WHERE workspace_id = $1
AND subject_id = $2
AND state IN ('QUEUED', 'RUNNING')
"""


async def insert(connection: Connection, workspace_id: UUID, kind: str, subject_id: UUID, created_by: str) -> Record:
    row = await connection.fetchrow(INSERT, workspace_id, kind, subject_id, created_by)
    assert row is not None
    return row


async def find(connection: Queryable, workspace_id: UUID, operation_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, operation_id)


async def lock(connection: Connection, workspace_id: UUID, operation_id: UUID) -> Record | None:
    return await connection.fetchrow(LOCK, workspace_id, operation_id)


async def find_under_way(connection: Queryable, workspace_id: UUID, subject_id: UUID, kind: str) -> Record | None:
    """The operation of a kind on a subject that has not ended yet."""
    return await connection.fetchrow(FIND_UNDER_WAY, workspace_id, subject_id, kind)


async def claim(connection: Queryable, operation_id: UUID) -> Record | None:
    """The operation with this attempt counted, or None where it has ended already."""
    return await connection.fetchrow(CLAIM, operation_id)


async def give_back(connection: Queryable, operation_id: UUID) -> None:
    """Do not count an attempt that has ended because its worker was asked to stop."""
    await connection.execute(GIVE_BACK, operation_id)


async def lost(connection: Queryable, kind: str) -> list[UUID]:
    """The operations of a kind, of all workspaces, that are under way without an entry in the queue."""
    return [row["id"] for row in await connection.fetch(LOST, kind)]


async def hold(connection: Connection, workspace_id: UUID, operation_id: UUID, attempt: int) -> bool:
    """Lock the row until the transaction ends; False where the attempt has been superseded."""
    return await connection.fetchval(HOLD, workspace_id, operation_id, attempt) is not None


async def advance(
    connection: Queryable, workspace_id: UUID, operation_id: UUID, attempt: int, stage: str, progress: float | None
) -> bool:
    """Say how far it is; False where the attempt has been superseded."""
    moved = await connection.fetchval(ADVANCE, workspace_id, operation_id, attempt, stage, progress)
    return moved is not None


async def finish(
    connection: Connection, workspace_id: UUID, operation_id: UUID, state: str, error: dict[str, object] | None = None
) -> None:
    await connection.execute(FINISH, workspace_id, operation_id, state, error)


async def advance_subject(
    connection: Queryable, workspace_id: UUID, subject_id: UUID, stage: str, progress: float | None
) -> None:
    await connection.execute(ADVANCE_SUBJECT, workspace_id, subject_id, stage, progress)


async def seconds_under_way(connection: Queryable, workspace_id: UUID, subject_id: UUID) -> float | None:
    """How long ago what is under way for a subject was asked for; None where nothing is."""
    seconds: float | None = await connection.fetchval(SECONDS_UNDER_WAY, workspace_id, subject_id)
    return seconds


async def finish_subject(
    connection: Connection, workspace_id: UUID, subject_id: UUID, state: str, error: dict[str, object] | None = None
) -> list[Record]:
    """End what is under way for a subject; the operations that this call ended."""
    return await connection.fetch(FINISH_SUBJECT, workspace_id, subject_id, state, error)


async def cancel_subject(connection: Connection, workspace_id: UUID, subject_id: UUID) -> None:
    await connection.execute(CANCEL_SUBJECT, workspace_id, subject_id)
