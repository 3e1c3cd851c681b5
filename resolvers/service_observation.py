"""Writes down how a service was found to be, and ends the operation that was to bring it there."""

from collections.abc import Mapping

from asyncpg import Record

from db import operation, service, service_configuration
from db.connection import Connection, Pool
from resolvers.service import ServiceStatus
from resolvers.transaction import Transaction, transaction

ACTOR = "reconciler"
UNDER_WAY = frozenset({ServiceStatus.DEPLOYING, ServiceStatus.PENDING})


async def observe(
    pool: Pool,
    row: Record,
    observed: service.Observation,
    problem: Mapping[str, object] | None = None,
    *,
    is_late: bool = False,
) -> None:
    """Write it down where it differs from `row`, unless something else was asked of the service by now.

    `problem` is the operation's error where the service does not run, instead of a plain SERVICE_NOT_RUNNING;
    `is_late` where that is because it took too long.
    """
    if is_known(row, observed):
        return
    async with transaction(pool, row["workspace_id"], ACTOR) as unit:
        current = await lock_unchanged(unit, row)
        if current is not None:
            if is_late:
                unit.record("SERVICE_DEPLOYMENT_TIMED_OUT", row["id"], message=observed.status_message)
            await note(unit, current, observed, problem)


async def overdue(pool: Pool, row: Record, most_seconds: float) -> float | None:
    """The longest that a deployment may take, where this one has taken longer."""
    if row["status"] not in UNDER_WAY:
        return None
    seconds = await operation.seconds_under_way(pool, row["workspace_id"], row["id"])
    return most_seconds if seconds is not None and seconds > most_seconds else None


def is_known(row: Record, observed: service.Observation) -> bool:
    said = (observed.status, observed.status_message, observed.progress)
    return (row["status"], row["status_message"], row["progress"]) == said and not observed.is_deleted


async def lock_unchanged(unit: Transaction, row: Record) -> Record | None:
    """The service's row, held; None where something was asked of the service since `row` was read."""
    current = await service.lock(unit.connection, row["workspace_id"], row["id"])
    if current is None or current["revision"] != row["revision"] or current["deleted_at"]:
        return None
    return current


async def note(
    unit: Transaction,
    current: Record,
    observed: service.Observation,
    problem: Mapping[str, object] | None = None,
) -> None:
    """The same inside a transaction that holds `current`."""
    await service.observe(unit.connection, current["workspace_id"], current["id"], observed)
    await _settle_configuration(unit.connection, current, observed)
    await _end_operation(unit.connection, current, observed, problem)
    if observed.status != current["status"] or observed.is_deleted:
        kind = "SERVICE_DELETED" if observed.is_deleted else f"SERVICE_{observed.status}"
        unit.record(kind, current["id"], message=observed.status_message)
    await service.notify(unit.connection, current["id"])


async def _settle_configuration(connection: Connection, row: Record, observed: service.Observation) -> None:
    wanted = (row["workspace_id"], row["id"], row["last_configuration_number"])
    if observed.status in (ServiceStatus.RUNNING, ServiceStatus.FINISHED):
        await service_configuration.succeed(connection, *wanted)
    elif observed.status in (ServiceStatus.FAILED, ServiceStatus.CONCERNING):
        await service_configuration.fail(connection, *wanted, observed.status_message)
    elif observed.status == ServiceStatus.STOPPED or observed.is_deleted:
        await service_configuration.fail(connection, *wanted, "It was stopped before it came into force.")


async def _end_operation(
    connection: Connection, row: Record, observed: service.Observation, problem: Mapping[str, object] | None
) -> None:
    if observed.status in UNDER_WAY:
        return
    error: dict[str, object] | None = None
    if observed.status in (ServiceStatus.FAILED, ServiceStatus.CONCERNING):
        error = dict(problem or {"code": "SERVICE_NOT_RUNNING", "message": observed.status_message})
    state = "FAILED" if error else "SUCCEEDED"
    await operation.finish_subject(connection, row["workspace_id"], row["id"], state, error)
