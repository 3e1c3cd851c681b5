"""Aliases of models: a row for each time that a name pointed at a version."""

from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection

IN_FORCE = """
SELECT alias.id, alias.model_version_id, version.version
FROM model_alias AS alias
JOIN model_version AS version
    ON version.workspace_id = alias.workspace_id AND version.id = alias.model_version_id
WHERE alias.workspace_id = $1
AND alias.model_id = $2
AND alias.name = $3
AND alias.ended_at IS NULL
"""
COUNT = """
SELECT count(*)
FROM model_alias
WHERE workspace_id = $1
AND model_id = $2
AND ended_at IS NULL
"""
MODEL_OF = """
SELECT model_id
FROM model_alias
WHERE workspace_id = $1
AND id = $2
"""
# The clock is read here, behind the lock of the model's row: when the transaction began others may have been at it.
END = """
UPDATE model_alias
SET ended_at = greatest(clock_timestamp(), set_at + interval '1 microsecond'), ended_by = $3
WHERE workspace_id = $1
AND id = $2
RETURNING ended_at
"""
# A clock that was put back makes no period that begins before the last one ended.
BEGIN = """
INSERT INTO model_alias (workspace_id, model_id, number, name, model_version_id, set_by, set_at)
VALUES (
    $1, $2,
    coalesce((SELECT max(number) FROM model_alias WHERE workspace_id = $1 AND model_id = $2), 0) + 1,
    $3, $4, $5,
    coalesce($6, greatest(
        clock_timestamp(),
        (SELECT max(ended_at) FROM model_alias WHERE workspace_id = $1 AND model_id = $2 AND name = $3)
    ))
)
RETURNING id
"""


async def in_force(connection: Connection, workspace_id: UUID, model_id: UUID, name: str) -> Record | None:
    """The alias as it is now, with the version's number."""
    return await connection.fetchrow(IN_FORCE, workspace_id, model_id, name)


async def count(connection: Connection, workspace_id: UUID, model_id: UUID) -> int:
    """How many aliases of the model are in force."""
    number: int = await connection.fetchval(COUNT, workspace_id, model_id)
    return number


async def model_of(connection: Connection, workspace_id: UUID, alias_id: UUID) -> UUID:
    """The model of an alias, in force or not."""
    model_id: UUID = await connection.fetchval(MODEL_OF, workspace_id, alias_id)
    return model_id


async def end(connection: Connection, workspace_id: UUID, alias_id: UUID, ended_by: str) -> datetime:
    """End a period: the moment at which the next one can begin. The model's row is locked."""
    ended_at: datetime = await connection.fetchval(END, workspace_id, alias_id, ended_by)
    return ended_at


async def begin(
    connection: Connection,
    workspace_id: UUID,
    model_id: UUID,
    name: str,
    version_id: UUID,
    set_by: str,
    *,
    set_at: datetime | None,
) -> UUID:
    """Begin a period, at the moment when the one before it ended, or now: its id. The model's row is locked."""
    begun: UUID = await connection.fetchval(BEGIN, workspace_id, model_id, name, version_id, set_by, set_at)
    return begun
