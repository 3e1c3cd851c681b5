"""Resource pools: how much of processors, memory and accelerators services may take together."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

COLUMNS = """id, workspace_id, name, kind, description, cpu_count, memory_bytes, gpu_count, ascend_count, revision,
    created_at, created_by"""
FIND = f"""
SELECT {COLUMNS}
FROM resource_pool
WHERE workspace_id = $1
AND (id = $2 OR name = $3)
"""
# Held by deployments into it, till they end: it is not deleted under them. Changes of its capacity may go on.
HOLD = f"""
SELECT {COLUMNS}
FROM resource_pool
WHERE workspace_id = $1
AND name = $2
FOR KEY SHARE
"""
# Held by changes of its capacity: no other change, and nothing placed in it meanwhile, but deployments into it go on.
LOCK_TO_CHANGE = f"""
SELECT {COLUMNS}
FROM resource_pool
WHERE workspace_id = $1
AND name = $2
FOR NO KEY UPDATE
"""
# Waits for deployments into it, too.
LOCK_TO_DELETE = f"""
SELECT {COLUMNS}
FROM resource_pool
WHERE workspace_id = $1
AND name = $2
FOR UPDATE
"""
COUNT = """
SELECT count(*)
FROM resource_pool
WHERE workspace_id = $1
"""
INSERT = """
INSERT INTO resource_pool (
    workspace_id, name, kind, description, cpu_count, memory_bytes, gpu_count, ascend_count, created_by
)
VALUES ($1, $2, 'DEDICATED', $3, $4, $5, $6, $7, $8)
ON CONFLICT (workspace_id, name) DO NOTHING
RETURNING id
"""
UPDATE = """
UPDATE resource_pool
SET description = $3, cpu_count = $4, memory_bytes = $5, gpu_count = $6, ascend_count = $7, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
USERS = """
SELECT name
FROM service
WHERE workspace_id = $1
AND resource_pool_id = $2
AND deleted_at IS NULL
ORDER BY name
"""
# Services that are gone are kept for their history, and it holds the pool's row.
RELEASE = """
UPDATE service
SET resource_pool_id = pool.id
FROM resource_pool AS pool
WHERE service.workspace_id = $1
AND service.resource_pool_id = $2
AND service.deleted_at IS NOT NULL
AND pool.workspace_id = $1
AND pool.kind = 'SHARED'
"""
DELETE = """
DELETE FROM resource_pool
WHERE workspace_id = $1
AND id = $2
"""
# The shared pool is the host's: its owner says of all workspaces' rows what it holds.
SETTLE = """
UPDATE resource_pool
SET cpu_count = $1, memory_bytes = $2, revision = revision + 1
WHERE kind = 'SHARED'
AND (cpu_count, memory_bytes) IS DISTINCT FROM ($1::double precision, $2::bigint)
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What people say of a pool."""

    description: str | None
    cpu_count: float
    memory_bytes: int
    gpu_count: float
    ascend_count: int


async def find(
    connection: Queryable, workspace_id: UUID, *, pool_id: UUID | None = None, name: str | None = None
) -> Record | None:
    if name is not None and not is_storable(name):
        return None
    return await connection.fetchrow(FIND, workspace_id, pool_id, name)


async def hold(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    """The row, which cannot be deleted until the transaction ends."""
    return await connection.fetchrow(HOLD, workspace_id, name) if is_storable(name) else None


async def lock_to_change(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(LOCK_TO_CHANGE, workspace_id, name) if is_storable(name) else None


async def lock_to_delete(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(LOCK_TO_DELETE, workspace_id, name) if is_storable(name) else None


async def count(connection: Connection, workspace_id: UUID) -> int:
    number: int = await connection.fetchval(COUNT, workspace_id)
    return number


async def insert(connection: Connection, workspace_id: UUID, name: str, said: Said, created_by: str) -> UUID | None:
    """The id of a new dedicated pool, or None where the name is taken."""
    inserted: UUID | None = await connection.fetchval(
        INSERT,
        workspace_id,
        name,
        said.description,
        said.cpu_count,
        said.memory_bytes,
        said.gpu_count,
        said.ascend_count,
        created_by,
    )
    return inserted


async def update(connection: Connection, workspace_id: UUID, pool_id: UUID, said: Said) -> None:
    await connection.execute(
        UPDATE,
        workspace_id,
        pool_id,
        said.description,
        said.cpu_count,
        said.memory_bytes,
        said.gpu_count,
        said.ascend_count,
    )


async def users(connection: Connection, workspace_id: UUID, pool_id: UUID) -> list[str]:
    """The names of the services in a pool, running or not."""
    return [row["name"] for row in await connection.fetch(USERS, workspace_id, pool_id)]


async def delete(connection: Connection, workspace_id: UUID, pool_id: UUID) -> None:
    """Delete a pool that no service is in."""
    await connection.execute(RELEASE, workspace_id, pool_id)
    await connection.execute(DELETE, workspace_id, pool_id)


async def settle(connection: Queryable, *, cpu_count: float | None, memory_bytes: int | None) -> None:
    """Say of the shared pool, in all workspaces, what it holds; None where nothing bounds it."""
    await connection.execute(SETTLE, cpu_count, memory_bytes)
