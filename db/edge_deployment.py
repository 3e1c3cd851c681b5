"""What each node is to do about each edge service, and what it said last."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

NAME_NODES = """
INSERT INTO edge_service_node (workspace_id, service_configuration_id, edge_node_id)
SELECT $1, configuration.id, given.node_id
FROM service_configuration AS configuration, unnest($4::uuid[]) AS given (node_id)
WHERE configuration.workspace_id = $1
AND configuration.service_id = $2
AND configuration.number = $3
"""
# A row for each node of the configuration that is wanted, and none beside.
ADD = """
INSERT INTO edge_deployment (workspace_id, service_id, edge_node_id)
SELECT $1, $2, named.edge_node_id
FROM service
JOIN service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN edge_service_node AS named
    ON named.workspace_id = configuration.workspace_id AND named.service_configuration_id = configuration.id
WHERE service.workspace_id = $1
AND service.id = $2
ORDER BY named.edge_node_id
ON CONFLICT (workspace_id, service_id, edge_node_id) DO NOTHING
"""
REMOVE_OTHERS = """
DELETE FROM edge_deployment
WHERE workspace_id = $1
AND service_id = $2
AND edge_node_id NOT IN (
    SELECT named.edge_node_id
    FROM service
    JOIN service_configuration AS configuration
        ON configuration.workspace_id = service.workspace_id
        AND configuration.service_id = service.id
        AND configuration.number = service.last_configuration_number
    JOIN edge_service_node AS named
        ON named.workspace_id = configuration.workspace_id AND named.service_configuration_id = configuration.id
    WHERE service.workspace_id = $1
    AND service.id = $2
)
"""
REMOVE = """
DELETE FROM edge_deployment
WHERE workspace_id = $1
AND service_id = $2
"""
OF_SERVICE = """
SELECT deployment.id, deployment.edge_node_id, deployment.desired_state, deployment.state, deployment.reason,
    deployment.configuration_number, deployment.revision, node.name AS node_name, node.status AS node_status,
    node.last_seen_at
FROM edge_deployment AS deployment
JOIN edge_node AS node ON node.workspace_id = deployment.workspace_id AND node.id = deployment.edge_node_id
WHERE deployment.workspace_id = $1
AND deployment.service_id = $2
ORDER BY node.name
"""
WANT = """
UPDATE edge_deployment
SET desired_state = $4, revision = revision + 1
WHERE workspace_id = $1
AND service_id = $2
AND edge_node_id = $3
"""
WANT_EVERYWHERE = """
UPDATE edge_deployment
SET desired_state = 'RUNNING', revision = revision + 1
WHERE workspace_id = $1
AND service_id = $2
AND desired_state <> 'RUNNING'
"""
# What a node is to do; services that are to be gone are left out, and so it lets go of them.
WANTED_OF_NODE = """
SELECT service.id AS service_id, service.name AS service_name,
    CASE WHEN service.desired_state = 'STOPPED' THEN 'STOPPED' ELSE deployment.desired_state END AS desired_state,
    service.last_configuration_number AS configuration_number, target.model_version_id, target.environment,
    target.cpu_count, target.memory_bytes, target.generation, version.model_name, version.version, version.runtime,
    version.requirements, version.dependencies, version.apis, version.ai_engine, version.model_path
FROM edge_deployment AS deployment
JOIN service ON service.workspace_id = deployment.workspace_id AND service.id = deployment.service_id
JOIN service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN edge_service_node AS named
    ON named.workspace_id = configuration.workspace_id
    AND named.service_configuration_id = configuration.id
    AND named.edge_node_id = deployment.edge_node_id
JOIN service_target AS target
    ON target.workspace_id = configuration.workspace_id AND target.service_configuration_id = configuration.id
JOIN model_version AS version
    ON version.workspace_id = target.workspace_id AND version.id = target.model_version_id
WHERE deployment.workspace_id = $1
AND deployment.edge_node_id = $2
AND service.deleted_at IS NULL
AND service.desired_state <> 'DELETED'
ORDER BY service.id
"""
# Only what differs is written, and only then somebody has to hear of it.
REPORT = """
UPDATE edge_deployment
SET state = $4, reason = $5, address = $6, configuration_number = $7, reported_at = now()
WHERE workspace_id = $1
AND service_id = $2
AND edge_node_id = $3
AND (state, reason, address, configuration_number) IS DISTINCT FROM ($4, $5, $6, $7)
RETURNING service_id
"""
# What a node says nothing of it does not have.
LET_GO = """
DELETE FROM edge_deployment AS deployment
USING service
WHERE deployment.workspace_id = $1
AND deployment.edge_node_id = $2
AND deployment.service_id <> ALL($3)
AND service.workspace_id = deployment.workspace_id
AND service.id = deployment.service_id
AND service.desired_state = 'DELETED'
RETURNING deployment.service_id
"""
OF_NODE = """
SELECT service_id
FROM edge_deployment
WHERE workspace_id = $1
AND edge_node_id = $2
ORDER BY service_id
"""
LOCK_LOG = """
SELECT log_id, log_number
FROM edge_deployment
WHERE workspace_id = $1
AND service_id = $2
AND edge_node_id = $3
FOR UPDATE
"""
# How far the log was read moves with its lines: none is taken down twice, and none is left out.
APPEND_LOG = """
WITH deployment AS (
    UPDATE edge_deployment
    SET log_id = $4, log_number = $5
    WHERE workspace_id = $1
    AND service_id = $2
    AND edge_node_id = $3
), counter AS (
    UPDATE service
    SET last_log_number = last_log_number + cardinality($8::text[])
    WHERE workspace_id = $1
    AND id = $2
    RETURNING last_log_number - cardinality($8::text[]) AS last_log_number
)
INSERT INTO service_log_line (
    workspace_id, service_id, number, service_instance_id, model_version_id, edge_node_id, text
)
SELECT $1, $2, counter.last_log_number + given.position, given.instance_id, given.version_id, $3, given.text
FROM counter,
    unnest($6::uuid[], $7::uuid[], $8::text[]) WITH ORDINALITY AS given (instance_id, version_id, text, position)
"""


@dataclass(frozen=True, slots=True)
class Report:
    service_id: UUID
    state: str
    reason: str | None
    address: str | None
    configuration_number: int | None


@dataclass(frozen=True, slots=True)
class LogLine:
    instance_id: UUID
    model_version_id: UUID | None
    text: str


async def name_nodes(
    connection: Connection, workspace_id: UUID, service_id: UUID, number: int, node_ids: Sequence[UUID]
) -> None:
    """Say on which nodes a service's configuration is to run."""
    await connection.execute(NAME_NODES, workspace_id, service_id, number, node_ids)


async def settle(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """Have a row for each node of the configuration that is wanted, and for no other."""
    await connection.execute(REMOVE_OTHERS, workspace_id, service_id)
    await connection.execute(ADD, workspace_id, service_id)


async def remove(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    await connection.execute(REMOVE, workspace_id, service_id)


async def of_service(connection: Queryable, workspace_id: UUID, service_id: UUID) -> list[Record]:
    """What is wanted and known of a service on each of its nodes, by the nodes' names."""
    return await connection.fetch(OF_SERVICE, workspace_id, service_id)


async def want(connection: Connection, workspace_id: UUID, service_id: UUID, node_id: UUID, desired_state: str) -> None:
    await connection.execute(WANT, workspace_id, service_id, node_id, desired_state)


async def want_everywhere(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """Have a service run on every one of its nodes."""
    await connection.execute(WANT_EVERYWHERE, workspace_id, service_id)


async def wanted_of_node(connection: Queryable, workspace_id: UUID, node_id: UUID) -> list[Record]:
    """The services that a node is to have, each with its version and how that is run."""
    return await connection.fetch(WANTED_OF_NODE, workspace_id, node_id)


async def report(connection: Connection, workspace_id: UUID, node_id: UUID, told: Report) -> bool:
    """Take down what a node says of a service; whether that is anything new."""
    changed = await connection.fetchval(
        REPORT,
        workspace_id,
        told.service_id,
        node_id,
        told.state,
        told.reason,
        told.address,
        told.configuration_number,
    )
    return changed is not None


async def let_go(connection: Connection, workspace_id: UUID, node_id: UUID, had: Sequence[UUID]) -> list[UUID]:
    """The services that are to be gone and that a node, which has these ones, no longer has."""
    return [row["service_id"] for row in await connection.fetch(LET_GO, workspace_id, node_id, had)]


async def of_node(connection: Queryable, workspace_id: UUID, node_id: UUID) -> list[UUID]:
    """The services that are to run on a node."""
    return [row["service_id"] for row in await connection.fetch(OF_NODE, workspace_id, node_id)]


async def lock_log(connection: Connection, workspace_id: UUID, service_id: UUID, node_id: UUID) -> Record | None:
    """Which of a node's logs was read last, and up to where."""
    return await connection.fetchrow(LOCK_LOG, workspace_id, service_id, node_id)


async def append_log(
    connection: Connection,
    workspace_id: UUID,
    service_id: UUID,
    node_id: UUID,
    lines: Sequence[LogLine],
    *,
    log_id: UUID,
    log_number: int,
) -> None:
    """Keep lines of a node's log, which is read up to `log_number` with them."""
    await connection.execute(
        APPEND_LOG,
        workspace_id,
        service_id,
        node_id,
        log_id,
        log_number,
        [line.instance_id for line in lines],
        [line.model_version_id for line in lines],
        [line.text for line in lines],
    )
