"""Instances of services: the processes that an engine runs, as their owner last saw them."""

from collections.abc import Collection, Sequence
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
# With what makes it of use to another configuration too, where a target there is the same.
WITH_TARGETS = """
SELECT instance.id, instance.workspace_id, instance.service_id, instance.service_target_id, instance.number,
    instance.state, instance.address, instance.attempts, instance.next_attempt_at, instance.reason,
    instance.log_offset_bytes, instance.created_at, instance.ready_at, instance.placed_at, instance.isolation,
    target.model_version_id, target.cpu_count, target.memory_bytes, target.gpu_count, target.ascend_count,
    target.environment, target.generation
FROM service_instance AS instance
JOIN service_target AS target
    ON target.workspace_id = instance.workspace_id
    AND target.id = instance.service_target_id
WHERE instance.workspace_id = $1
AND instance.service_id = $2
ORDER BY instance.number
"""
# The engine knows an instance by its id alone; these statements are the engine's owner's, no caller reaches them.
FIND = f"""
SELECT {COLUMNS}
FROM service_instance
WHERE id = $1
"""
SERVICES_OF = """
SELECT DISTINCT service_id
FROM service_instance
WHERE id = ANY($1::uuid[])
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
SELECT $1, $2, $3, last_instance_number, 'PENDING'
FROM counter
RETURNING {COLUMNS}
"""
OBSERVE = """
UPDATE service_instance
SET state = $3, address = $4, reason = $5, next_attempt_at = $6, attempts = $7, isolation = coalesce($8, isolation),
    ready_at = CASE WHEN $3 = 'READY' THEN coalesce(ready_at, now()) END
WHERE workspace_id = $1
AND id = $2
"""
ADOPT = """
UPDATE service_instance
SET service_target_id = $3
WHERE workspace_id = $1
AND id = ANY($2::uuid[])
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


@dataclass(frozen=True, slots=True)
class Observation:
    state: str
    address: str | None
    reason: str | None
    next_attempt_at: datetime | None
    attempts: int
    isolation: str | None = None


async def of_service(connection: Queryable, workspace_id: UUID, service_id: UUID) -> list[Record]:
    return await connection.fetch(OF_SERVICE, workspace_id, service_id)


async def with_targets(connection: Queryable, workspace_id: UUID, service_id: UUID) -> list[Record]:
    """A service's instances, each with the columns of its target that say what it runs."""
    return await connection.fetch(WITH_TARGETS, workspace_id, service_id)


async def find(connection: Queryable, instance_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, instance_id)


async def services_of(connection: Queryable, instance_ids: Collection[UUID]) -> set[UUID]:
    """The services that have instances."""
    return {row["service_id"] for row in await connection.fetch(SERVICES_OF, instance_ids)}


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
        observed.isolation,
    )


async def adopt(connection: Connection, workspace_id: UUID, instance_ids: Sequence[UUID], target_id: UUID) -> None:
    """Let instances be a target's, whose they were not."""
    await connection.execute(ADOPT, workspace_id, instance_ids, target_id)


async def hurry(connection: Queryable, workspace_id: UUID, service_id: UUID) -> None:
    """Let instances that ended start again at once, as if for the first time."""
    await connection.execute(HURRY, workspace_id, service_id)


async def delete(connection: Queryable, workspace_id: UUID, instance_id: UUID) -> None:
    await connection.execute(DELETE, workspace_id, instance_id)
