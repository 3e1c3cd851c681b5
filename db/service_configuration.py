"""What services were asked to run, each time anew: configurations, their targets, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable
from db.service import NewTarget

INSERT = """
INSERT INTO service_configuration (workspace_id, service_id, number, cause, restored_number, created_by)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id
"""
INSERT_TARGET = """
INSERT INTO service_target (
    workspace_id, service_configuration_id, model_version_id, position, weight, inference_specification, cpu_count,
    memory_bytes, gpu_count, ascend_count, instance_count, environment, generation
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
FIND = """
SELECT id, workspace_id, service_id, number, cause, restored_number, state, message, created_at, created_by, finished_at
FROM service_configuration
WHERE workspace_id = $1
AND service_id = $2
AND number = $3
"""
TARGETS = """
SELECT target.id, target.workspace_id, configuration.service_id, configuration.number AS configuration_number,
    target.model_version_id, target.weight, target.inference_specification, target.cpu_count, target.memory_bytes,
    target.gpu_count, target.ascend_count, target.instance_count, target.environment, target.generation
FROM service_configuration AS configuration
JOIN service_target AS target
    ON target.workspace_id = configuration.workspace_id
    AND target.service_configuration_id = configuration.id
WHERE configuration.workspace_id = $1
AND configuration.service_id = $2
AND configuration.number = ANY($3::integer[])
ORDER BY configuration.number, target.position
"""
HIGHEST_GENERATION = """
SELECT max(target.generation)
FROM service_configuration AS configuration
JOIN service_target AS target
    ON target.workspace_id = configuration.workspace_id
    AND target.service_configuration_id = configuration.id
WHERE configuration.workspace_id = $1
AND configuration.service_id = $2
"""
SUPERSEDE = """
UPDATE service_configuration
SET state = 'SUPERSEDED', finished_at = now()
WHERE workspace_id = $1
AND service_id = $2
AND state = 'RUNNING'
"""
# $5: the number of the one to be routed to at once, because nothing serves that could be disturbed.
WANT = """
UPDATE service
SET last_configuration_number = $3, status = $4, status_message = NULL, progress = 0, revision = revision + 1,
    updated_at = now(), routed_configuration_number = coalesce($5, routed_configuration_number)
WHERE workspace_id = $1
AND id = $2
"""
ROUTE = """
UPDATE service
SET routed_configuration_number = $3
WHERE workspace_id = $1
AND id = $2
"""
# What failed is tried on, and may yet come into force; what has come into force stays so.
SUCCEED = """
UPDATE service_configuration
SET state = 'SUCCEEDED', message = NULL, finished_at = now()
WHERE workspace_id = $1
AND service_id = $2
AND number = $3
AND state IN ('RUNNING', 'FAILED')
"""
FAIL = """
UPDATE service_configuration
SET state = 'FAILED', message = $4, finished_at = now()
WHERE workspace_id = $1
AND service_id = $2
AND number = $3
AND state = 'RUNNING'
"""


@dataclass(frozen=True, slots=True)
class NewConfiguration:
    """`restored_number` is of the configuration whose targets these were before."""

    number: int
    cause: str
    targets: Sequence[NewTarget]
    restored_number: int | None = None


async def insert(
    connection: Connection, workspace_id: UUID, service_id: UUID, new: NewConfiguration, created_by: str
) -> None:
    configuration_id = await connection.fetchval(
        INSERT, workspace_id, service_id, new.number, new.cause, new.restored_number, created_by
    )
    rows = enumerate(new.targets)
    await connection.executemany(INSERT_TARGET, [_values(workspace_id, configuration_id, *item) for item in rows])


def _values(workspace_id: UUID, configuration_id: UUID, position: int, target: NewTarget) -> tuple[object, ...]:
    return (
        workspace_id,
        configuration_id,
        target.model_version_id,
        position,
        target.weight,
        target.inference_specification,
        target.cpu_count,
        target.memory_bytes,
        target.gpu_count,
        target.ascend_count,
        target.instance_count,
        target.environment,
        target.generation,
    )


async def find(connection: Queryable, workspace_id: UUID, service_id: UUID, number: int) -> Record | None:
    return await connection.fetchrow(FIND, workspace_id, service_id, number)


async def targets(connection: Queryable, workspace_id: UUID, service_id: UUID, numbers: Sequence[int]) -> list[Record]:
    """The targets of some of a service's configurations, in their order."""
    return await connection.fetch(TARGETS, workspace_id, service_id, numbers)


async def highest_generation(connection: Queryable, workspace_id: UUID, service_id: UUID) -> int:
    generation: int = await connection.fetchval(HIGHEST_GENERATION, workspace_id, service_id)
    return generation


async def supersede(connection: Connection, workspace_id: UUID, service_id: UUID) -> None:
    """End what has not come into force yet, and now will not."""
    await connection.execute(SUPERSEDE, workspace_id, service_id)


async def want(
    connection: Connection, workspace_id: UUID, service_id: UUID, number: int, *, status: str, is_routed: bool
) -> None:
    await connection.execute(WANT, workspace_id, service_id, number, status, number if is_routed else None)


async def route(connection: Connection, workspace_id: UUID, service_id: UUID, number: int) -> None:
    """Let predictions go to a configuration's targets from now on."""
    await connection.execute(ROUTE, workspace_id, service_id, number)


async def succeed(connection: Connection, workspace_id: UUID, service_id: UUID, number: int) -> None:
    await connection.execute(SUCCEED, workspace_id, service_id, number)


async def fail(connection: Connection, workspace_id: UUID, service_id: UUID, number: int, message: str | None) -> None:
    await connection.execute(FAIL, workspace_id, service_id, number, message)
