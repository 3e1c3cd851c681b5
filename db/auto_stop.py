"""Services that are to be stopped at a time."""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable
from db.service import COLUMNS

# Of all workspaces: these two are the workers' own, no caller reaches them.
DUE = """
SELECT id, workspace_id
FROM service
WHERE auto_stop_at <= now()
AND deleted_at IS NULL
AND desired_state = 'RUNNING'
AND status NOT IN ('STOPPING', 'FINISHED', 'DELETING')
ORDER BY auto_stop_at
LIMIT 100
"""
SECONDS_TO_NEXT = """
SELECT extract(epoch FROM min(auto_stop_at) - now())::double precision
FROM service
WHERE auto_stop_at IS NOT NULL
AND deleted_at IS NULL
AND desired_state = 'RUNNING'
AND status NOT IN ('STOPPING', 'FINISHED', 'DELETING')
"""
HOLD = f"""
SELECT {COLUMNS}
FROM service
WHERE workspace_id = $1
AND id = $2
AND auto_stop_at <= now()
AND deleted_at IS NULL
AND desired_state = 'RUNNING'
AND status NOT IN ('STOPPING', 'FINISHED', 'DELETING')
FOR UPDATE SKIP LOCKED
"""


async def due(connection: Queryable) -> list[Record]:
    """The first services, with their workspaces, whose time has come."""
    return await connection.fetch(DUE)


async def seconds_to_next(connection: Queryable) -> float | None:
    """How long it is until the next one's time comes; negative where it has."""
    seconds: float | None = await connection.fetchval(SECONDS_TO_NEXT)
    return seconds


async def hold(connection: Connection, workspace_id: UUID, service_id: UUID) -> Record | None:
    """The service's row until the transaction ends; None where it is not due any more, or somebody else has it."""
    return await connection.fetchrow(HOLD, workspace_id, service_id)
