"""Services: asking for a start, a stop, an end. A reconciler makes it so."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from db import operation, service, service_instance
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, RevisionConflict, not_found
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.transaction import Transaction, transaction


class ServiceStatus(StrEnum):
    PENDING = "PENDING"
    DEPLOYING = "DEPLOYING"
    RUNNING = "RUNNING"
    CONCERNING = "CONCERNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    FINISHED = "FINISHED"
    DELETING = "DELETING"


class ServiceDesiredState(StrEnum):
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Action:
    """What a service is asked to do: in which states it may, and what it is while it does."""

    kind: OperationKind
    desired_state: ServiceDesiredState
    status: ServiceStatus
    allowed_in: frozenset[ServiceDesiredState]
    event: str


# Which action in which state (modelarts: starting or stopping a service); stopping works during a deployment too.
START = Action(
    OperationKind.START_SERVICE,
    ServiceDesiredState.RUNNING,
    ServiceStatus.DEPLOYING,
    frozenset({ServiceDesiredState.STOPPED}),
    "SERVICE_START_REQUESTED",
)
STOP = Action(
    OperationKind.STOP_SERVICE,
    ServiceDesiredState.STOPPED,
    ServiceStatus.STOPPING,
    frozenset({ServiceDesiredState.RUNNING}),
    "SERVICE_STOP_REQUESTED",
)
DELETE = Action(
    OperationKind.DELETE_SERVICE,
    ServiceDesiredState.DELETED,
    ServiceStatus.DELETING,
    frozenset({ServiceDesiredState.RUNNING, ServiceDesiredState.STOPPED}),
    "SERVICE_DELETE_REQUESTED",
)


async def act(
    installation: Installation,
    caller: Caller,
    action: Action,
    *,
    service_name: str,
    expected_revision: int | None,
    idempotency_key: str | None,
) -> UUID:
    """Ask a service to start, stop or end: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def want() -> UUID:
            return await _want(unit, action, service_name, expected_revision)

        request = {"serviceName": service_name, "expectedRevision": expected_revision}
        return await once(unit, mutation=action.kind, key=idempotency_key, request=request, act=want)


async def _want(unit: Transaction, action: Action, service_name: str, expected_revision: int | None) -> UUID:
    row = await service.lock_by_name(unit.connection, unit.workspace_id, service_name)
    if row is None:
        raise not_found(f"service named {service_name!r}", path=["serviceName"])
    if expected_revision is not None and row["revision"] != expected_revision:
        raise RevisionConflict(expected_revision, row["revision"])
    is_failed_start = action is START and row["status"] == ServiceStatus.FAILED
    if ServiceDesiredState(row["desired_state"]) not in action.allowed_in and not is_failed_start:
        raise Refusal(
            ErrorCode.INVALID_STATE,
            f"That was asked for already: the service is {row['status']} and is to be {row['desired_state']}.",
            path=["serviceName"],
        )
    service_id: UUID = row["id"]
    await operation.cancel_subject(unit.connection, unit.workspace_id, service_id)
    await operation.insert(unit.connection, unit.workspace_id, action.kind, service_id, unit.actor)
    await service.want(unit.connection, unit.workspace_id, service_id, action.desired_state, action.status)
    await service_instance.hurry(unit.connection, unit.workspace_id, service_id)
    unit.record(action.event, service_id, name=service_name)
    await service.notify(unit.connection, service_id)
    return service_id
