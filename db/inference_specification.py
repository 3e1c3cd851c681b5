"""The sizes of instances that a workspace has added to those that every installation has."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

COLUMNS = (
    "id, workspace_id, name, description, cpu_count, memory_bytes, gpu_count, ascend_count, created_at, created_by"
)
LIST = f"""
SELECT {COLUMNS}
FROM inference_specification
WHERE workspace_id = $1
ORDER BY name COLLATE "C"
"""
FIND = f"""
SELECT {COLUMNS}
FROM inference_specification
WHERE workspace_id = $1
AND name = $2
"""
# Held by deployments that name it, till they end: it is not deleted under them.
HOLD = f"""
SELECT {COLUMNS}
FROM inference_specification
WHERE workspace_id = $1
AND name = $2
FOR KEY SHARE
"""
LOCK = f"""
SELECT {COLUMNS}
FROM inference_specification
WHERE workspace_id = $1
AND name = $2
FOR UPDATE
"""
INSERT = """
INSERT INTO inference_specification (
    workspace_id, name, description, cpu_count, memory_bytes, gpu_count, ascend_count, created_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (workspace_id, name) DO NOTHING
RETURNING id
"""
DELETE = """
DELETE FROM inference_specification
WHERE workspace_id = $1
AND id = $2
"""
USERS = """
SELECT DISTINCT service.name
FROM service
JOIN service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN service_target AS target
    ON target.workspace_id = configuration.workspace_id
    AND target.service_configuration_id = configuration.id
WHERE service.workspace_id = $1
AND target.inference_specification = $2
AND service.deleted_at IS NULL
ORDER BY service.name
"""


async def of_workspace(connection: Queryable, workspace_id: UUID) -> list[Record]:
    return await connection.fetch(LIST, workspace_id)


async def find(connection: Queryable, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, name) if is_storable(name) else None


async def hold(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    """The row, which cannot be deleted until the transaction ends."""
    return await connection.fetchrow(HOLD, workspace_id, name) if is_storable(name) else None


async def lock(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(LOCK, workspace_id, name) if is_storable(name) else None


async def insert(
    connection: Connection,
    workspace_id: UUID,
    *,
    name: str,
    description: str | None,
    cpu_count: float,
    memory_bytes: int,
    gpu_count: float,
    ascend_count: int,
    created_by: str,
) -> UUID | None:
    """The new row's id, or None where the name is taken."""
    inserted: UUID | None = await connection.fetchval(
        INSERT, workspace_id, name, description, cpu_count, memory_bytes, gpu_count, ascend_count, created_by
    )
    return inserted


async def delete(connection: Connection, workspace_id: UUID, specification_id: UUID) -> None:
    await connection.execute(DELETE, workspace_id, specification_id)


async def users(connection: Connection, workspace_id: UUID, name: str) -> list[str]:
    """The names of the services whose wanted configuration has a target of the size."""
    return [row["name"] for row in await connection.fetch(USERS, workspace_id, name)]
