"""What nobody needs any more: versions to be purged, and what environments and packages are still needed."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

# A version that a service runs or is to run is never let go, although it should not have been deleted then.
_PURGEABLE = """model_version.deleted_at IS NOT NULL
AND model_version.purged_at IS NULL
AND model_version.restorable_until < now()
AND NOT EXISTS (
    SELECT 1
    FROM service_target
    JOIN service_configuration
        ON service_configuration.workspace_id = service_target.workspace_id
        AND service_configuration.id = service_target.service_configuration_id
    JOIN service
        ON service.workspace_id = service_configuration.workspace_id
        AND service.id = service_configuration.service_id
        AND service_configuration.number IN (service.last_configuration_number, service.routed_configuration_number)
    WHERE service_target.workspace_id = model_version.workspace_id
    AND service_target.model_version_id = model_version.id
    AND service.deleted_at IS NULL
)"""
# A service that is not deleted has it in a configuration of its, in force or not.
_HAS_SERVICE = """EXISTS (
    SELECT 1
    FROM service_target
    JOIN service_configuration
        ON service_configuration.workspace_id = service_target.workspace_id
        AND service_configuration.id = service_target.service_configuration_id
    JOIN service
        ON service.workspace_id = service_configuration.workspace_id
        AND service.id = service_configuration.service_id
    WHERE service_target.workspace_id = model_version.workspace_id
    AND service_target.model_version_id = model_version.id
    AND service.deleted_at IS NULL
)"""
DUE = f"""
SELECT workspace.id
FROM workspace
WHERE EXISTS (
    SELECT 1
    FROM model_version
    WHERE model_version.workspace_id = workspace.id
    AND {_PURGEABLE}
)
AND NOT EXISTS (
    SELECT 1
    FROM operation
    WHERE operation.workspace_id = workspace.id
    AND operation.subject_id = workspace.id
    AND operation.kind = 'CLEAN_UP'
    AND operation.state IN ('QUEUED', 'RUNNING')
)
ORDER BY workspace.id
"""
UNDER_WAY = """
SELECT id
FROM operation
WHERE workspace_id = $1
AND subject_id = $1
AND kind = 'CLEAN_UP'
AND state IN ('QUEUED', 'RUNNING')
"""
PURGEABLE = f"""
SELECT model_version.id
FROM model_version
WHERE workspace_id = $1
AND {_PURGEABLE}
ORDER BY model_version.id
LIMIT $2
"""
PURGE = f"""
UPDATE model_version
SET purged_at = now()
WHERE workspace_id = $1
AND id = $2
AND {_PURGEABLE}
RETURNING model_name, version, size_bytes
"""
DELETE_FILES = """
DELETE FROM model_file
WHERE workspace_id = $1
AND model_version_id = $2
"""
DELETE_BUILDS = """
DELETE FROM environment_build
WHERE workspace_id = $1
AND model_version_id = $2
"""
# The newest build of each version that is there, or that a service runs. Environments are shared by all workspaces.
ENVIRONMENTS = f"""
SELECT DISTINCT newest.digest
FROM (
    SELECT DISTINCT ON (environment_build.workspace_id, environment_build.model_version_id)
        environment_build.workspace_id, environment_build.model_version_id, environment_build.digest
    FROM environment_build
    ORDER BY environment_build.workspace_id, environment_build.model_version_id, environment_build.id DESC
) AS newest
JOIN model_version
    ON model_version.workspace_id = newest.workspace_id
    AND model_version.id = newest.model_version_id
WHERE model_version.deleted_at IS NULL
OR {_HAS_SERVICE}
"""
# What was copied from the market was never built by its own import.
VERSIONS_WITHOUT_BUILD = """
SELECT DISTINCT model_version.workspace_id, model_version.id
FROM service
JOIN service_configuration
    ON service_configuration.workspace_id = service.workspace_id
    AND service_configuration.service_id = service.id
JOIN service_target
    ON service_target.workspace_id = service_configuration.workspace_id
    AND service_target.service_configuration_id = service_configuration.id
JOIN model_version
    ON model_version.workspace_id = service_target.workspace_id
    AND model_version.id = service_target.model_version_id
WHERE service.deleted_at IS NULL
AND model_version.runtime IS NOT NULL
AND model_version.purged_at IS NULL
AND NOT EXISTS (
    SELECT 1
    FROM environment_build
    WHERE environment_build.workspace_id = model_version.workspace_id
    AND environment_build.model_version_id = model_version.id
)
"""
IS_PACKAGE_NEEDED = f"""
SELECT EXISTS (
    SELECT 1
    FROM model_version
    WHERE model_version.id = $1
    AND (
        (model_version.status IN ('IMPORTING', 'BUILDING') AND model_version.deleted_at IS NULL)
        OR {_HAS_SERVICE}
    )
)
"""


async def due(connection: Queryable) -> list[UUID]:
    """The workspaces that have something to let go, and nobody at it."""
    return [row["id"] for row in await connection.fetch(DUE)]


async def under_way(connection: Connection, workspace_id: UUID) -> UUID | None:
    """The clean-up of a workspace that has not ended."""
    found: UUID | None = await connection.fetchval(UNDER_WAY, workspace_id)
    return found


async def purgeable(connection: Queryable, workspace_id: UUID, *, limit: int) -> list[UUID]:
    """Deleted versions that can no longer be restored, the oldest first."""
    return [row["id"] for row in await connection.fetch(PURGEABLE, workspace_id, limit)]


async def purge(connection: Connection, workspace_id: UUID, version_id: UUID) -> Record | None:
    """Let a version's files and logs go: its model_name, version and size_bytes, or None where it has to stay."""
    row = await connection.fetchrow(PURGE, workspace_id, version_id)
    if row is not None:
        await connection.execute(DELETE_FILES, workspace_id, version_id)
        await connection.execute(DELETE_BUILDS, workspace_id, version_id)
    return row


async def environments(connection: Queryable) -> Sequence[str]:
    """The digests of the environments that versions of any workspace were built with and may yet need."""
    return [row["digest"] for row in await connection.fetch(ENVIRONMENTS)]


async def versions_without_build(connection: Queryable) -> list[tuple[UUID, UUID]]:
    """Versions of services, of which no build tells the environment: each with its workspace first."""
    return [(row["workspace_id"], row["id"]) for row in await connection.fetch(VERSIONS_WITHOUT_BUILD)]


async def is_package_needed(connection: Queryable, version_id: UUID) -> bool:
    """Whether a version's package is needed as a folder: a service runs it, or its environment is built."""
    needed: bool = await connection.fetchval(IS_PACKAGE_NEEDED, version_id)
    return needed
