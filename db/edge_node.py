"""Edge nodes: machines elsewhere that run services, each known by the digest of its token."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

COLUMNS = """id, workspace_id, name, description, status, status_message, architecture, runtime, agent_version,
    isolation, cpu_count, memory_bytes, last_seen_at, revision, created_at, created_by, deleted_at"""
INSERT = """
INSERT INTO edge_node (workspace_id, name, description, token_sha256, created_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING id
"""
LOCK_BY_NAME = f"""
SELECT {COLUMNS}
FROM edge_node
WHERE workspace_id = $1
AND name = $2
AND deleted_at IS NULL
FOR UPDATE
"""
# Shared: several services may be deployed to a node at once, and none while it is deleted.
HOLD_BY_NAMES = f"""
SELECT {COLUMNS}
FROM edge_node
WHERE workspace_id = $1
AND name = ANY($2)
AND deleted_at IS NULL
ORDER BY id
FOR SHARE
"""
# Those of a configuration: none is deleted before the transaction ends, and some may have been before.
HOLD_NAMED = """
SELECT node.name, node.deleted_at
FROM service_configuration AS configuration
JOIN edge_service_node AS named
    ON named.workspace_id = configuration.workspace_id AND named.service_configuration_id = configuration.id
JOIN edge_node AS node ON node.workspace_id = named.workspace_id AND node.id = named.edge_node_id
WHERE configuration.workspace_id = $1
AND configuration.service_id = $2
AND configuration.number = $3
ORDER BY node.id
FOR SHARE OF node
"""
# Whoever has the token is the node, in whichever workspace it was registered.
FIND_BY_TOKEN = f"""
SELECT {COLUMNS}
FROM edge_node
WHERE token_sha256 = $1
AND deleted_at IS NULL
"""
LOCK = f"""
SELECT {COLUMNS}
FROM edge_node
WHERE workspace_id = $1
AND id = $2
AND deleted_at IS NULL
FOR NO KEY UPDATE
"""
UPDATE = """
UPDATE edge_node
SET name = $3, description = $4, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
RENEW_TOKEN = """
UPDATE edge_node
SET token_sha256 = $3, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
DELETE = """
UPDATE edge_node
SET deleted_at = now(), revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
SEE = """
UPDATE edge_node
SET status = $3, status_message = $4, architecture = $5, runtime = $6, agent_version = $7, isolation = $8,
    cpu_count = $9, memory_bytes = $10, last_seen_at = now()
WHERE workspace_id = $1
AND id = $2
"""
# The services that are to run on a node.
USERS = """
SELECT service.name
FROM edge_service_node AS named
JOIN service_configuration AS configuration
    ON configuration.workspace_id = named.workspace_id AND configuration.id = named.service_configuration_id
JOIN service
    ON service.workspace_id = configuration.workspace_id
    AND service.id = configuration.service_id
    AND service.last_configuration_number = configuration.number
WHERE named.workspace_id = $1
AND named.edge_node_id = $2
AND service.deleted_at IS NULL
ORDER BY service.name
"""
SILENT_WORKSPACES = """
SELECT DISTINCT workspace_id
FROM edge_node
WHERE deleted_at IS NULL
AND status IN ('RUNNING', 'FAILED')
AND last_seen_at < now() - make_interval(secs => $1)
"""
# Who comes second finds the row changed already, and passes it over.
LOSE = """
UPDATE edge_node
SET status = 'UNCONNECTED', status_message = NULL
WHERE workspace_id = $1
AND deleted_at IS NULL
AND status IN ('RUNNING', 'FAILED')
AND last_seen_at < now() - make_interval(secs => $2)
RETURNING id, name, last_seen_at
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a node tells of itself; `status_message` says why it can run nothing, where it cannot."""

    status: str
    status_message: str | None
    architecture: str
    runtime: str
    agent_version: str
    isolation: str | None
    cpu_count: float
    memory_bytes: int


async def insert(
    connection: Connection, workspace_id: UUID, *, name: str, description: str | None, token_sha256: bytes, by: str
) -> UUID | None:
    """The new node's id, or None where the name is taken."""
    inserted: UUID | None = await connection.fetchval(INSERT, workspace_id, name, description, token_sha256, by)
    return inserted


async def lock_by_name(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(LOCK_BY_NAME, workspace_id, name) if is_storable(name) else None


async def hold_by_names(connection: Connection, workspace_id: UUID, names: Sequence[str]) -> list[Record]:
    """The nodes of these names, which are not deleted before the transaction ends."""
    return await connection.fetch(HOLD_BY_NAMES, workspace_id, [name for name in names if is_storable(name)])


async def hold_named(connection: Connection, workspace_id: UUID, service_id: UUID, number: int) -> list[Record]:
    """Name and deletion of the nodes that a service's configuration names, which are not deleted meanwhile."""
    return await connection.fetch(HOLD_NAMED, workspace_id, service_id, number)


async def find_by_token(connection: Queryable, token_sha256: bytes) -> Record | None:
    return await connection.fetchrow(FIND_BY_TOKEN, token_sha256)


async def lock(connection: Connection, workspace_id: UUID, node_id: UUID) -> Record | None:
    return await connection.fetchrow(LOCK, workspace_id, node_id)


async def update(
    connection: Connection, workspace_id: UUID, node_id: UUID, *, name: str, description: str | None
) -> None:
    await connection.execute(UPDATE, workspace_id, node_id, name, description)


async def renew_token(connection: Connection, workspace_id: UUID, node_id: UUID, token_sha256: bytes) -> None:
    await connection.execute(RENEW_TOKEN, workspace_id, node_id, token_sha256)


async def delete(connection: Connection, workspace_id: UUID, node_id: UUID) -> None:
    await connection.execute(DELETE, workspace_id, node_id)


async def see(connection: Connection, workspace_id: UUID, node_id: UUID, seen: Sighting) -> None:
    await connection.execute(
        SEE,
        workspace_id,
        node_id,
        seen.status,
        seen.status_message,
        seen.architecture,
        seen.runtime,
        seen.agent_version,
        seen.isolation,
        seen.cpu_count,
        seen.memory_bytes,
    )


async def users(connection: Connection, workspace_id: UUID, node_id: UUID) -> list[str]:
    """The names of the services that are to run on a node."""
    return [row["name"] for row in await connection.fetch(USERS, workspace_id, node_id)]


async def silent_workspaces(connection: Queryable, lost_seconds: float) -> list[UUID]:
    """Where there are nodes that have not reported for so long, and were not noticed yet."""
    return [row["workspace_id"] for row in await connection.fetch(SILENT_WORKSPACES, lost_seconds)]


async def lose(connection: Connection, workspace_id: UUID, lost_seconds: float) -> list[Record]:
    """The nodes that are UNCONNECTED from now on: id, name, and when each was last seen."""
    return await connection.fetch(LOSE, workspace_id, lost_seconds)
