"""Instances of services: the processes that an engine runs, as their owner last saw them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

COLUMNS = """id, workspace_id, service_id, service_target_id, number, state, address, attempts, next_attempt_at, reason,
    log_offset_bytes, created_at, ready_at, placed_at, isolation"""
OF_SERVICE = f"""
SELECT {COLUMNS}
FROM service_instance
WHERE workspace_id = $1
AND service_id = $2
ORDER BY service_target_id, number
"""
OF_TARGET = f"""
SELECT {COLUMNS}
FROM service_instance
WHERE workspace_id = $1
AND service_target_id = $2
ORDER BY number
"""
# The engine knows an instance by its id alone; this statement is the engine's owner's, no caller reaches it.
FIND = f"""
SELECT {COLUMNS}
FROM service_instance
WHERE id = $1
"""
INSERT = f"""
WITH counter AS (
    UPDATE service
    SET last_instance_number = last_instance_number + 1
    WHERE workspace_id = $1
    AND id = $2
    RETURNING last_instance_number
)
INSERT INTO service_instance (workspace_id, service_id, service_target_id, number, state)
SELECT $1, $2, $3, last_instance_number, 'STARTING'
FROM counter
RETURNING {COLUMNS}
"""
OBSERVE = """
UPDATE service_instance
SET state = $3, address = $4, reason = $5, next_attempt_at = $6, attempts = $7,
    ready_at = CASE WHEN $3 = 'READY' THEN coalesce(ready_at, now()) END
WHERE workspace_id = $1
AND id = $2
"""
HURRY = """
UPDATE service_instance
SET attempts = 1, next_attempt_at = NULL
WHERE workspace_id = $1
AND service_id = $2
"""
DELETE = """
DELETE FROM service_instance
WHERE workspace_id = $1
AND id = $2
"""
# The offset moves with the lines: after a crash none is read twice, and none is left out.
APPEND_LOG = """
WITH instance AS (
    UPDATE service_instance
    SET log_offset_bytes = $5
    WHERE workspace_id = $1
    AND id = $3
), counter AS (
    UPDATE service
    SET last_log_number = last_log_number + cardinality($4::text[])
    WHERE workspace_id = $1
    AND id = $2
    RETURNING last_log_number - cardinality($4::text[]) AS last_log_number
)
INSERT INTO service_log_line (workspace_id, service_id, number, service_instance_id, text)
SELECT $1, $2, counter.last_log_number + given.position, $3, given.text
FROM counter, unnest($4::text[]) WITH ORDINALITY AS given (text, position)
"""
TRIM_LOG = """
DELETE FROM service_log_line
WHERE workspace_id = $1
AND service_id = $2
AND number <= (SELECT last_log_number - $3 FROM service WHERE workspace_id = $1 AND id = $2)
"""


@dataclass(frozen=True, slots=True)
class Observation:
    state: str
    address: str | None
    reason: str | None
    next_attempt_at: datetime | None
    attempts: int


async def of_service(connection: Queryable, workspace_id: UUID, service_id: UUID) -> list[Record]:
    return await connection.fetch(OF_SERVICE, workspace_id, service_id)


async def of_target(connection: Queryable, workspace_id: UUID, target_id: UUID) -> list[Record]:
    return await connection.fetch(OF_TARGET, workspace_id, target_id)


async def find(connection: Queryable, instance_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, instance_id)


async def insert(connection: Connection, workspace_id: UUID, service_id: UUID, target_id: UUID) -> Record | None:
    return await connection.fetchrow(INSERT, workspace_id, service_id, target_id)


async def observe(connection: Queryable, workspace_id: UUID, instance_id: UUID, observed: Observation) -> None:
    await connection.execute(
        OBSERVE,
        workspace_id,
        instance_id,
        observed.state,
        observed.address,
        observed.reason,
        observed.next_attempt_at,
        observed.attempts,
    )


async def hurry(connection: Queryable, workspace_id: UUID, service_id: UUID) -> None:
    """Let instances that ended start again at once, as if for the first time."""
    await connection.execute(HURRY, workspace_id, service_id)


async def delete(connection: Queryable, workspace_id: UUID, instance_id: UUID) -> None:
    await connection.execute(DELETE, workspace_id, instance_id)


async def append_log(
    connection: Queryable,
    workspace_id: UUID,
    service_id: UUID,
    instance_id: UUID,
    lines: list[str],
    *,
    offset_bytes: int,
) -> None:
    """Keep lines that an instance printed, up to an offset in its own log."""
    await connection.execute(APPEND_LOG, workspace_id, service_id, instance_id, lines, offset_bytes)


async def trim_log(connection: Queryable, workspace_id: UUID, service_id: UUID, kept: int) -> None:
    """Keep a service's last lines."""
    await connection.execute(TRIM_LOG, workspace_id, service_id, kept)
