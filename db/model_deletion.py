"""Deleted models and versions: who uses a version, its deletion, and the way back."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from db.connection import Connection

# A service uses what the configuration names that is wanted, whether it runs or rests, and the one that is routed to.
USERS = """
SELECT DISTINCT 'SERVICE' AS kind, service.id, service.name, version.version
FROM model_version AS version
JOIN service_target AS target
    ON target.workspace_id = version.workspace_id AND target.model_version_id = version.id
JOIN service_configuration AS configuration
    ON configuration.workspace_id = target.workspace_id AND configuration.id = target.service_configuration_id
JOIN service
    ON service.workspace_id = configuration.workspace_id
    AND service.id = configuration.service_id
    AND configuration.number IN (service.last_configuration_number, service.routed_configuration_number)
WHERE version.workspace_id = $1
AND version.id = ANY($2)
AND service.deleted_at IS NULL
UNION ALL
SELECT 'MARKET_LISTING', listing.id, coalesce(listing.title, listing.model_name), version.version
FROM model_version AS version
JOIN market_listing AS listing
    ON listing.workspace_id = version.workspace_id AND listing.model_version_id = version.id
WHERE version.workspace_id = $1
AND version.id = ANY($2)
AND listing.withdrawn_at IS NULL
UNION ALL
SELECT 'ALIAS', alias.id, alias.name, version.version
FROM model_version AS version
JOIN model_alias AS alias ON alias.workspace_id = version.workspace_id AND alias.model_version_id = version.id
WHERE version.workspace_id = $1
AND version.id = ANY($2)
AND alias.ended_at IS NULL
ORDER BY version, kind, name
"""
VERSIONS_OF_MODEL = """
SELECT id
FROM model_version
WHERE workspace_id = $1
AND model_id = $2
AND deleted_at IS NULL
"""
# Those that went with their model, and not before it.
DELETED_WITH_MODEL = """
SELECT version.id
FROM model
JOIN model_version AS version
    ON version.workspace_id = model.workspace_id
    AND version.model_id = model.id
    AND version.deleted_at = model.deleted_at
WHERE model.workspace_id = $1
AND model.id = $2
"""
# An import holds its operation before its version, so whoever ends both comes by the same way.
CANCEL = """
UPDATE operation
SET state = 'CANCELLED', finished_at = now()
WHERE workspace_id = $1
AND subject_id = ANY($2)
AND state IN ('QUEUED', 'RUNNING')
"""
# In the order in which deployments lock the versions that they name.
LOCK = """
SELECT id, revision, origin = 'MARKET' AS is_subscribed, deleted_at, purged_at
FROM model_version
WHERE workspace_id = $1
AND id = ANY($2)
ORDER BY version COLLATE "C"
FOR NO KEY UPDATE
"""
BREAK_OFF = """
UPDATE model_version
SET status = CASE status WHEN 'BUILDING' THEN 'BUILD_FAILED' ELSE 'IMPORT_FAILED' END, problems = $3
WHERE workspace_id = $1
AND id = ANY($2)
AND status IN ('IMPORTING', 'BUILDING')
"""
CANCEL_IMPORT = """
UPDATE model_version
SET status = CASE status WHEN 'BUILDING' THEN 'BUILD_FAILED' ELSE 'IMPORT_FAILED' END, problems = $3,
    revision = revision + 1
WHERE workspace_id = $1
AND id = $2
AND status IN ('IMPORTING', 'BUILDING')
RETURNING status
"""
LOSE_BUILDS = """
UPDATE environment_build
SET state = 'FAILED', finished_at = now()
WHERE workspace_id = $1
AND model_version_id = ANY($2)
AND state = 'RUNNING'
"""
DELETE = """
UPDATE model_version
SET deleted_at = now(), deleted_by = $3, restorable_until = now() + make_interval(days => $4), revision = revision + 1
WHERE workspace_id = $1
AND id = ANY($2)
"""
DELETE_MODEL = """
UPDATE model
SET deleted_at = now(), deleted_by = $3, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
RESTORE = """
UPDATE model_version
SET deleted_at = NULL, deleted_by = NULL, restorable_until = NULL, revision = revision + 1
WHERE workspace_id = $1
AND id = ANY($2)
AND deleted_at IS NOT NULL
AND purged_at IS NULL
AND restorable_until > clock_timestamp()
RETURNING id
"""
RESTORE_MODEL = """
UPDATE model
SET deleted_at = NULL, deleted_by = NULL, revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""


async def users(connection: Connection, workspace_id: UUID, version_ids: Sequence[UUID]) -> list[Record]:
    """Who relies on the versions: kind, id and name of each, and the version's number."""
    return await connection.fetch(USERS, workspace_id, version_ids)


async def versions_of_model(connection: Connection, workspace_id: UUID, model_id: UUID) -> list[UUID]:
    return [row["id"] for row in await connection.fetch(VERSIONS_OF_MODEL, workspace_id, model_id)]


async def deleted_with_model(connection: Connection, workspace_id: UUID, model_id: UUID) -> list[UUID]:
    """The versions that were deleted together with their deleted model."""
    return [row["id"] for row in await connection.fetch(DELETED_WITH_MODEL, workspace_id, model_id)]


async def cancel_operations(connection: Connection, workspace_id: UUID, version_ids: Sequence[UUID]) -> None:
    """End what is under way for the versions. Goes before `lock`."""
    await connection.execute(CANCEL, workspace_id, version_ids)


async def lock(connection: Connection, workspace_id: UUID, version_ids: Sequence[UUID]) -> list[Record]:
    """The versions, locked until the transaction ends."""
    return await connection.fetch(LOCK, workspace_id, version_ids)


async def delete(
    connection: Connection,
    workspace_id: UUID,
    version_ids: Sequence[UUID],
    deleted_by: str,
    *,
    restore_days: int,
    broken_off: list[dict[str, object]],
) -> None:
    """Delete versions. What is not NORMAL yet is a failed import from now on, with the problems `broken_off`."""
    await connection.execute(BREAK_OFF, workspace_id, version_ids, broken_off)
    await connection.execute(LOSE_BUILDS, workspace_id, version_ids)
    await connection.execute(DELETE, workspace_id, version_ids, deleted_by, restore_days)


async def break_off(
    connection: Connection, workspace_id: UUID, version_id: UUID, problems: list[dict[str, object]]
) -> str | None:
    """End the import of a version that is kept: what it is now. Goes after the operation's end and `lock`."""
    status: str | None = await connection.fetchval(CANCEL_IMPORT, workspace_id, version_id, problems)
    await connection.execute(LOSE_BUILDS, workspace_id, [version_id])
    return status


async def delete_model(connection: Connection, workspace_id: UUID, model_id: UUID, deleted_by: str) -> None:
    await connection.execute(DELETE_MODEL, workspace_id, model_id, deleted_by)


async def restore(connection: Connection, workspace_id: UUID, version_ids: Sequence[UUID]) -> list[UUID]:
    """Undo deletions: of which versions. Not of those whose time is over, or that are not deleted."""
    return [row["id"] for row in await connection.fetch(RESTORE, workspace_id, version_ids)]


async def restore_model(connection: Connection, workspace_id: UUID, model_id: UUID) -> None:
    await connection.execute(RESTORE_MODEL, workspace_id, model_id)
