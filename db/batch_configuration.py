"""What batch services read, ask and write: one row for each of their configurations."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

INSERT = """
INSERT INTO batch_configuration (
    service_configuration_id, workspace_id, service_id, input_kind, input_store, input_key, output_store, output_key,
    api_url, api_method, api_content_type, mapping_kind, mapping_parameter, mapping_rule, max_concurrency
)
SELECT configuration.id, configuration.workspace_id, configuration.service_id, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    $13, $14, $15
FROM service_configuration AS configuration
WHERE configuration.workspace_id = $1
AND configuration.service_id = $2
AND configuration.number = $3
"""
COLUMNS = """batch.service_configuration_id, batch.workspace_id, batch.service_id, batch.input_kind, batch.input_store,
    batch.input_key, batch.output_store, batch.output_key, batch.api_url, batch.api_method, batch.api_content_type,
    batch.mapping_kind, batch.mapping_parameter, batch.mapping_rule, batch.max_concurrency"""
# The one that is wanted of a service.
WANTED = f"""
SELECT {COLUMNS}
FROM service
JOIN service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN batch_configuration AS batch
    ON batch.workspace_id = configuration.workspace_id
    AND batch.service_configuration_id = configuration.id
WHERE service.workspace_id = $1
AND service.id = $2
"""
FIND = f"""
SELECT {COLUMNS}
FROM batch_configuration AS batch
WHERE batch.workspace_id = $1
AND batch.service_configuration_id = $2
"""
# The outputs of a workspace's services are given out one after another.
LOCK_OUTPUTS = "SELECT pg_advisory_xact_lock(hashtextextended('batch outputs of ' || $1::text, 0))"
WRITING_NEAR = """
SELECT service.name
FROM service
JOIN service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN batch_configuration AS batch
    ON batch.workspace_id = configuration.workspace_id
    AND batch.service_configuration_id = configuration.id
WHERE service.workspace_id = $1
AND service.deployment_type = 'BATCH'
AND service.deleted_at IS NULL
AND service.name <> $4
AND batch.output_store = $2
AND (starts_with(batch.output_key || '/', $3 || '/') OR starts_with($3 || '/', batch.output_key || '/'))
ORDER BY service.name
LIMIT 1
"""
REST = """
UPDATE service
SET desired_state = 'STOPPED', finished_at = NULL
WHERE workspace_id = $1
AND id = $2
"""


@dataclass(frozen=True, slots=True)
class NewConfiguration:
    input_kind: str
    input_store: str
    input_key: str
    output_store: str
    output_key: str
    api_url: str
    api_method: str
    api_content_type: str
    mapping_kind: str
    mapping_parameter: str | None
    mapping_rule: object
    max_concurrency: int


async def insert(
    connection: Connection, workspace_id: UUID, service_id: UUID, number: int, new: NewConfiguration
) -> None:
    """Say more of a configuration of a service that is there already."""
    await connection.execute(
        INSERT,
        workspace_id,
        service_id,
        number,
        new.input_kind,
        new.input_store,
        new.input_key,
        new.output_store,
        new.output_key,
        new.api_url,
        new.api_method,
        new.api_content_type,
        new.mapping_kind,
        new.mapping_parameter,
        new.mapping_rule,
        new.max_concurrency,
    )


async def wanted(connection: Queryable, workspace_id: UUID, service_id: UUID) -> Record | None:
    return await connection.fetchrow(WANTED, workspace_id, service_id)


async def find(connection: Queryable, workspace_id: UUID, configuration_id: UUID) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, configuration_id)


async def lock_outputs(connection: Connection, workspace_id: UUID) -> None:
    """Keep others of the workspace, till the end of the transaction, from choosing an output."""
    await connection.execute(LOCK_OUTPUTS, str(workspace_id))


async def writing_near(connection: Connection, workspace_id: UUID, store: str, key: str, *, but_for: str) -> str | None:
    """The name of a live batch service, other than one, whose output is this folder, lies in it or around it."""
    name: str | None = await connection.fetchval(WRITING_NEAR, workspace_id, store, key, but_for)
    return name


async def rest(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """Let a service that has ended its run wait to be started."""
    await connection.execute(REST, workspace_id, service_id)
