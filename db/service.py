"""Services: what is wanted of each, and what is known of it."""

from collections.abc import Collection
from dataclasses import astuple, dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

COLUMNS = """id, workspace_id, name, description, deployment_type, desired_state, status, status_message, progress,
    revision, last_configuration_number, routed_configuration_number, resource_pool_id, access, max_body_bytes,
    timeout_seconds, requests_per_second, request_burst, checks_inputs, auto_stop_after_seconds, auto_stop_at,
    created_at, created_by, updated_at, started_at, finished_at, deleted_at"""
INSERT = """
INSERT INTO service (
    workspace_id, name, description, deployment_type, resource_pool_id, last_configuration_number,
    routed_configuration_number, created_by
)
VALUES ($1, $2, $3, $4, $5, 1, 1, $6)
ON CONFLICT (workspace_id, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING id
"""
FIND = f"""
SELECT {COLUMNS}
FROM service
WHERE workspace_id = $1
AND deleted_at IS NULL
AND (id = $2 OR name = $3)
"""
LOCK_BY_NAME = f"""
SELECT {COLUMNS}
FROM service
WHERE workspace_id = $1
AND name = $2
AND deleted_at IS NULL
FOR UPDATE
"""
LOCK = f"""
SELECT {COLUMNS}
FROM service
WHERE workspace_id = $1
AND id = $2
FOR UPDATE
"""
WANT = """
UPDATE service
SET desired_state = $3, status = $4, status_message = NULL, progress = 0, revision = revision + 1,
    auto_stop_at = CASE WHEN $3 = 'RUNNING' THEN now() + make_interval(secs => auto_stop_after_seconds) END,
    started_at = CASE WHEN $3 = 'RUNNING' THEN NULL ELSE started_at END, finished_at = NULL
WHERE workspace_id = $1
AND id = $2
"""
COUNT = """
SELECT count(*)
FROM service
WHERE workspace_id = $1
AND deployment_type = $2
AND deleted_at IS NULL
"""
# A stop that is planned stays so, unless after how long it comes is changed.
CHANGE_SETTINGS = """
UPDATE service
SET description = $3, access = $4, max_body_bytes = $5, timeout_seconds = $6, requests_per_second = $7,
    request_burst = $8, checks_inputs = $9, auto_stop_after_seconds = $10,
    auto_stop_at = CASE
        WHEN auto_stop_after_seconds IS NOT DISTINCT FROM $10 THEN auto_stop_at
        WHEN desired_state = 'RUNNING' THEN now() + make_interval(secs => $10)
    END
WHERE workspace_id = $1
AND id = $2
"""
REVISE = """
UPDATE service
SET revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""
OBSERVE = """
UPDATE service
SET status = $3, status_message = $4, progress = $5,
    started_at = CASE $3
        WHEN 'RUNNING' THEN coalesce(started_at, now())
        WHEN 'STOPPED' THEN NULL
        ELSE started_at
    END,
    finished_at = CASE WHEN $3 = 'FINISHED' THEN now() ELSE finished_at END,
    routed_configuration_number = CASE
        WHEN $3 = 'STOPPED' THEN last_configuration_number
        ELSE routed_configuration_number
    END,
    deleted_at = CASE WHEN $6 THEN now() ELSE deleted_at END
WHERE workspace_id = $1
AND id = $2
"""
NOT_AT_REST = """deleted_at IS NULL
AND (status NOT IN ('STOPPED', 'FINISHED') OR desired_state = 'DELETED')"""
# The reconciler works for every workspace: these statements and the next are its own, no caller reaches them.
RECONCILED = f"""
SELECT {COLUMNS}
FROM service
WHERE {NOT_AT_REST}
ORDER BY id
"""
UNSETTLED = f"""
SELECT {COLUMNS}
FROM service
WHERE {NOT_AT_REST}
AND (status <> desired_state OR id = ANY($1::uuid[]))
ORDER BY id
"""
RECONCILED_OF = f"""
SELECT {COLUMNS}
FROM service
WHERE {NOT_AT_REST}
AND id = ANY($1::uuid[])
ORDER BY id
"""
ROUTES = """
SELECT service.id, service.workspace_id, service.name, service.status, service.access, service.max_body_bytes,
    service.timeout_seconds, service.requests_per_second, service.request_burst, service.checks_inputs,
    service_target.model_version_id, service_target.weight, model_version.version,
    service_instance.id AS instance_id, service_instance.address
FROM service
JOIN service_configuration
    ON service_configuration.workspace_id = service.workspace_id
    AND service_configuration.service_id = service.id
    AND service_configuration.number = service.routed_configuration_number
JOIN service_target
    ON service_target.workspace_id = service.workspace_id
    AND service_target.service_configuration_id = service_configuration.id
JOIN model_version
    ON model_version.workspace_id = service_target.workspace_id
    AND model_version.id = service_target.model_version_id
LEFT JOIN service_instance
    ON service_instance.workspace_id = service.workspace_id
    AND service_instance.service_target_id = service_target.id
    AND service_instance.state = 'READY'
WHERE service.deleted_at IS NULL
AND service.deployment_type = 'REAL_TIME'
AND ($1::uuid IS NULL OR service.id = $1)
ORDER BY service.id, service_target.position, service_instance.number
"""
LAID_OUT_VERSIONS = """
SELECT DISTINCT service_target.model_version_id
FROM service_target
JOIN service_configuration
    ON service_configuration.workspace_id = service_target.workspace_id
    AND service_configuration.id = service_target.service_configuration_id
JOIN service
    ON service.workspace_id = service_configuration.workspace_id
    AND service.id = service_configuration.service_id
    AND service_configuration.number IN (service.last_configuration_number, service.routed_configuration_number)
WHERE service.deleted_at IS NULL
UNION
SELECT id
FROM model_version
WHERE status IN ('IMPORTING', 'BUILDING')
"""
NOTIFY = "SELECT pg_notify('modelyard_service', $1)"


@dataclass(frozen=True, slots=True)
class NewTarget:
    model_version_id: UUID
    weight: int
    inference_specification: str
    cpu_count: float
    memory_bytes: int
    gpu_count: float
    ascend_count: int
    instance_count: int
    environment: list[dict[str, object]]
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be changed of a service without another configuration; None: no limit but the server's."""

    access: str = "TOKEN"
    max_body_bytes: int | None = None
    timeout_seconds: float | None = None
    requests_per_second: float | None = None
    request_burst: int | None = None
    checks_inputs: bool = False
    auto_stop_after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    status: str
    status_message: str | None
    progress: float | None
    is_deleted: bool = False


async def insert(
    connection: Connection,
    workspace_id: UUID,
    *,
    name: str,
    description: str | None,
    deployment_type: str,
    resource_pool_id: UUID,
    created_by: str,
) -> UUID | None:
    """The new service's id, or None where the name is taken."""
    inserted: UUID | None = await connection.fetchval(
        INSERT, workspace_id, name, description, deployment_type, resource_pool_id, created_by
    )
    return inserted


async def find(
    connection: Queryable, workspace_id: UUID, *, service_id: UUID | None = None, name: str | None = None
) -> Record | None:
    if name is not None and not is_storable(name):
        return None
    return await connection.fetchrow(FIND, workspace_id, service_id, name)


async def lock(connection: Connection, workspace_id: UUID, service_id: UUID) -> Record | None:
    return await connection.fetchrow(LOCK, workspace_id, service_id)


async def lock_by_name(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    return await connection.fetchrow(LOCK_BY_NAME, workspace_id, name) if is_storable(name) else None


async def want(connection: Connection, workspace_id: UUID, service_id: UUID, desired_state: str, status: str) -> None:
    await connection.execute(WANT, workspace_id, service_id, desired_state, status)


async def count(connection: Queryable, workspace_id: UUID, deployment_type: str) -> int:
    """How many services of a type the workspace has."""
    number: int = await connection.fetchval(COUNT, workspace_id, deployment_type)
    return number


async def change_settings(
    connection: Connection, workspace_id: UUID, service_id: UUID, description: str | None, settings: Settings
) -> None:
    await connection.execute(CHANGE_SETTINGS, workspace_id, service_id, description, *astuple(settings))


async def revise(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """Count a change that is none of its states' and configurations'."""
    await connection.execute(REVISE, workspace_id, service_id)


async def observe(connection: Connection, workspace_id: UUID, service_id: UUID, observed: Observation) -> None:
    await connection.execute(
        OBSERVE,
        workspace_id,
        service_id,
        observed.status,
        observed.status_message,
        observed.progress,
        observed.is_deleted,
    )


async def reconciled(connection: Queryable) -> list[Record]:
    """Services of all workspaces that are not at rest."""
    return await connection.fetch(RECONCILED)


async def unsettled(connection: Queryable, also: Collection[UUID]) -> list[Record]:
    """Those of them that are not yet what they should be, and `also` some that are."""
    return await connection.fetch(UNSETTLED, also)


async def reconciled_of(connection: Queryable, service_ids: Collection[UUID]) -> list[Record]:
    """Those of them with one of these ids."""
    return await connection.fetch(RECONCILED_OF, service_ids)


async def routes(connection: Queryable, service_id: UUID | None = None) -> list[Record]:
    """A row per target and ready instance of every live real-time service, or of one."""
    return await connection.fetch(ROUTES, service_id)


async def laid_out_versions(connection: Queryable) -> list[UUID]:
    """The versions whose packages are needed as folders: live services run them, or their environments are built."""
    return [row["model_version_id"] for row in await connection.fetch(LAID_OUT_VERSIONS)]


async def notify(connection: Queryable, service_id: UUID) -> None:
    """Wake up who reconciles services and who routes to them; heard when the transaction commits."""
    await connection.execute(NOTIFY, str(service_id))
