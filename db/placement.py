"""Which instances have their place in a resource pool, and which wait for one."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection

POOL_COLUMNS = "pool.id, pool.name, pool.kind, pool.cpu_count, pool.memory_bytes, pool.gpu_count, pool.ascend_count"
SUMS = """coalesce(sum(target.cpu_count), 0) AS cpu_count,
    coalesce(sum(target.memory_bytes), 0)::bigint AS memory_bytes, coalesce(sum(target.gpu_count), 0) AS gpu_count,
    coalesce(sum(target.ascend_count), 0)::integer AS ascend_count"""
INSTANCES = """JOIN service_instance AS instance
    ON instance.workspace_id = service.workspace_id
    AND instance.service_id = service.id
JOIN service_target AS target
    ON target.workspace_id = instance.workspace_id
    AND target.id = instance.service_target_id"""
IN_SHARED = """JOIN resource_pool AS pool
    ON pool.workspace_id = service.workspace_id
    AND pool.id = service.resource_pool_id
    AND pool.kind = 'SHARED'"""
POOL_OF_SERVICE = f"""
SELECT {POOL_COLUMNS}
FROM service
JOIN resource_pool AS pool
    ON pool.workspace_id = service.workspace_id
    AND pool.id = service.resource_pool_id
WHERE service.workspace_id = $1
AND service.id = $2
"""
LOCK_POOL = f"""
SELECT {POOL_COLUMNS}
FROM resource_pool AS pool
WHERE pool.workspace_id = $1
AND pool.id = $2
FOR NO KEY UPDATE
"""
# The shared pool is one for all workspaces, with a row in each: what is held is this lock.
LOCK_SHARED = "SELECT pg_advisory_xact_lock(hashtextextended('modelyard shared pool', 0))"
IS_PLACED = """
SELECT true
FROM service_instance
WHERE workspace_id = $1
AND id = $2
AND placed_at IS NOT NULL
"""
TAKEN = f"""
SELECT {SUMS}
FROM service
{INSTANCES}
WHERE service.workspace_id = $1
AND service.resource_pool_id = $2
AND service.deleted_at IS NULL
AND instance.placed_at IS NOT NULL
"""
# What has waited longer than the instance $3, but for no more than $4 seconds.
KEPT = f"""
SELECT {SUMS}
FROM service
{INSTANCES}
WHERE service.workspace_id = $1
AND service.resource_pool_id = $2
AND service.deleted_at IS NULL
AND service.desired_state = 'RUNNING'
AND instance.placed_at IS NULL
AND instance.state = 'PENDING'
AND instance.created_at > now() - make_interval(secs => $4)
AND (instance.created_at, instance.id) < (
    SELECT asking.created_at, asking.id
    FROM service_instance AS asking
    WHERE asking.workspace_id = $1
    AND asking.id = $3
)
"""
# The shared pool's capacity is the host's: these two are of all workspaces. Callers learn the sums, and nothing else.
TAKEN_OF_SHARED = f"""
SELECT {SUMS}
FROM service
{IN_SHARED}
{INSTANCES}
WHERE service.deleted_at IS NULL
AND instance.placed_at IS NOT NULL
"""
KEPT_OF_SHARED = f"""
SELECT {SUMS}
FROM service
{IN_SHARED}
{INSTANCES}
WHERE service.deleted_at IS NULL
AND service.desired_state = 'RUNNING'
AND instance.placed_at IS NULL
AND instance.state = 'PENDING'
AND instance.created_at > now() - make_interval(secs => $2)
AND (instance.created_at, instance.id) < (
    SELECT asking.created_at, asking.id
    FROM service_instance AS asking
    WHERE asking.id = $1
)
"""
PLACE = """
UPDATE service_instance
SET placed_at = now()
WHERE workspace_id = $1
AND id = $2
AND placed_at IS NULL
"""


async def is_placed(connection: Connection, workspace_id: UUID, instance_id: UUID) -> bool:
    return await connection.fetchval(IS_PLACED, workspace_id, instance_id) is not None


async def lock_pool(connection: Connection, workspace_id: UUID, service_id: UUID) -> Record:
    """The row of a service's pool. Nobody else places anything in the pool until the transaction ends."""
    pool = await connection.fetchrow(POOL_OF_SERVICE, workspace_id, service_id)
    assert pool is not None
    if pool["kind"] == "SHARED":
        await connection.execute(LOCK_SHARED)
        return pool
    locked = await connection.fetchrow(LOCK_POOL, workspace_id, pool["id"])
    assert locked is not None
    return locked


async def taken(connection: Connection, workspace_id: UUID, pool: Record) -> Record:
    """The sum of the sizes of what is placed in a pool; in the shared one, of all workspaces."""
    if pool["kind"] == "SHARED":
        row = await connection.fetchrow(TAKEN_OF_SHARED)
    else:
        row = await connection.fetchrow(TAKEN, workspace_id, pool["id"])
    assert row is not None
    return row


async def kept(
    connection: Connection, workspace_id: UUID, pool: Record, instance_id: UUID, *, within_seconds: float
) -> Record:
    """The sum of the sizes of what has waited longer than an instance, and for less than so many seconds."""
    if pool["kind"] == "SHARED":
        row = await connection.fetchrow(KEPT_OF_SHARED, instance_id, within_seconds)
    else:
        row = await connection.fetchrow(KEPT, workspace_id, pool["id"], instance_id, within_seconds)
    assert row is not None
    return row


async def place(connection: Connection, workspace_id: UUID, instance_id: UUID) -> None:
    await connection.execute(PLACE, workspace_id, instance_id)
