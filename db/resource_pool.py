"""Resource pools: how much of processors, memory and accelerators services may take together."""

from uuid import UUID

from asyncpg import Record

from db.connection import Queryable, is_storable

COLUMNS = """id, workspace_id, name, kind, description, cpu_count, memory_bytes, gpu_count, ascend_count, revision,
    created_at, created_by"""
FIND = f"""
SELECT {COLUMNS}
FROM resource_pool
WHERE workspace_id = $1
AND (id = $2 OR name = $3)
"""


async def find(
    connection: Queryable, workspace_id: UUID, *, pool_id: UUID | None = None, name: str | None = None
) -> Record | None:
    if name is not None and not is_storable(name):
        return None
    return await connection.fetchrow(FIND, workspace_id, pool_id, name)
