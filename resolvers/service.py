"""Services: what may be asked of one in which state, and asking for it. A reconciler makes it so."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from asyncpg import Record

from db import edge_deployment, operation, service, service_instance, workspace
from resolvers.caller import Caller
from resolvers.deployment_type import DeploymentType
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
    """Something that a service can be asked: `verb` is how a sentence names it, `allowed_in` when it may be asked.

    `desired_state` is None where that stays as it is; `kind` is None where nothing is left to do in the background.
    """

    verb: str
    allowed_in: frozenset[ServiceStatus]
    event: str
    kind: OperationKind | None = None
    desired_state: ServiceDesiredState | None = None


UNTIL_REACHED: Mapping[ServiceDesiredState, ServiceStatus] = MappingProxyType(
    {
        ServiceDesiredState.RUNNING: ServiceStatus.DEPLOYING,
        ServiceDesiredState.STOPPED: ServiceStatus.STOPPING,
        ServiceDesiredState.DELETED: ServiceStatus.DELETING,
    }
)
# Which action in which status (modelarts: starting or stopping, modifying, deleting a service). Unlike there, stopping
# and rolling back work during a deployment too: nobody has to wait for one that goes wrong.
START = Action(
    "started",
    frozenset({ServiceStatus.STOPPED, ServiceStatus.FAILED, ServiceStatus.FINISHED}),
    "SERVICE_START_REQUESTED",
    OperationKind.START_SERVICE,
    ServiceDesiredState.RUNNING,
)
STOP = Action(
    "stopped",
    frozenset(
        {
            ServiceStatus.PENDING,
            ServiceStatus.DEPLOYING,
            ServiceStatus.RUNNING,
            ServiceStatus.CONCERNING,
            ServiceStatus.FAILED,
        }
    ),
    "SERVICE_STOP_REQUESTED",
    OperationKind.STOP_SERVICE,
    ServiceDesiredState.STOPPED,
)
DELETE = Action(
    "deleted",
    frozenset(ServiceStatus) - {ServiceStatus.DELETING},
    "SERVICE_DELETE_REQUESTED",
    OperationKind.DELETE_SERVICE,
    ServiceDesiredState.DELETED,
)
UPDATE = Action(
    "updated",
    frozenset(
        {
            ServiceStatus.PENDING,
            ServiceStatus.RUNNING,
            ServiceStatus.CONCERNING,
            ServiceStatus.FAILED,
            ServiceStatus.STOPPED,
        }
    ),
    "SERVICE_UPDATE_REQUESTED",
    OperationKind.UPDATE_SERVICE,
)
ROLL_BACK = Action(
    "rolled back",
    frozenset(ServiceStatus) - {ServiceStatus.STOPPING, ServiceStatus.FINISHED, ServiceStatus.DELETING},
    "SERVICE_ROLL_BACK_REQUESTED",
    OperationKind.ROLL_BACK_SERVICE,
)
RESTART = Action(
    "restarted",
    frozenset({ServiceStatus.RUNNING, ServiceStatus.CONCERNING, ServiceStatus.FAILED}),
    "SERVICE_RESTART_REQUESTED",
    OperationKind.RESTART_SERVICE,
)
CHANGE_SETTINGS = Action("changed", frozenset(ServiceStatus) - {ServiceStatus.DELETING}, "SERVICE_SETTINGS_CHANGED")
ACTIONS = (START, STOP, DELETE, UPDATE, ROLL_BACK, RESTART, CHANGE_SETTINGS)
# The most services of a type in a workspace where the rules of ModelArts hold (modelarts: types of services).
MOST: Mapping[DeploymentType, int] = MappingProxyType(
    {DeploymentType.REAL_TIME: 20, DeploymentType.BATCH: 1_000, DeploymentType.EDGE: 1_000}
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

        async def ask() -> UUID:
            row = await held(unit, service_name, expected_revision)
            await want(unit, action, row)
            service_id: UUID = row["id"]
            return service_id

        request = {"serviceName": service_name, "expectedRevision": expected_revision}
        assert action.kind is not None
        return await once(unit, mutation=action.kind, key=idempotency_key, request=request, act=ask)


async def held(
    unit: Transaction, name: str, expected_revision: int | None, *, deployment_type: DeploymentType | None = None
) -> Record:
    """The row of a service that is to be changed, nobody else's until the transaction ends. Raises Refusal."""
    row = await service.lock_by_name(unit.connection, unit.workspace_id, name)
    if row is None:
        raise not_found(f"service named {name!r}", path=["serviceName"])
    if deployment_type not in (None, row["deployment_type"]):
        raise Refusal(
            ErrorCode.INVALID_STATE,
            f"The service {name!r} is a {row['deployment_type']} service; this is for {deployment_type} ones.",
            path=["serviceName"],
        )
    if expected_revision is not None and row["revision"] != expected_revision:
        raise RevisionConflict(expected_revision, row["revision"])
    return row


def check_allowed(action: Action, row: Record) -> None:
    """Raises Refusal where a service is in no state for an action."""
    if row["status"] in action.allowed_in:
        return
    statuses = ", ".join(status for status in ServiceStatus if status in action.allowed_in)
    is_hasty = row["status"] == ServiceStatus.DEPLOYING and action in (UPDATE, RESTART)
    raise Refusal(
        ErrorCode.INVALID_STATE,
        f"The service is {row['status']}; it can be {action.verb} while it is one of: {statuses}.",
        path=["serviceName"],
        hint="rollBackService and stopService work during a deployment." if is_hasty else None,
    )


async def want(unit: Transaction, action: Action, row: Record) -> None:
    """Ask a service, whose row is locked, to start, stop or end. Raises Refusal."""
    check_allowed(action, row)
    assert action.desired_state is not None
    await service.want(
        unit.connection, unit.workspace_id, row["id"], action.desired_state, UNTIL_REACHED[action.desired_state]
    )
    if action is START and row["deployment_type"] == DeploymentType.EDGE:
        await edge_deployment.want_everywhere(unit.connection, unit.workspace_id, row["id"])
    await begin(unit, action, row)


async def begin(unit: Transaction, action: Action, row: Record) -> None:
    """Begin an action whose wish is written down: its operation takes the place of what was under way."""
    await operation.cancel_subject(unit.connection, unit.workspace_id, row["id"])
    if action.kind is not None:
        await operation.insert(unit.connection, unit.workspace_id, action.kind, row["id"], unit.actor)
    await service_instance.hurry(unit.connection, unit.workspace_id, row["id"])
    unit.record(action.event, row["id"], name=row["name"])
    await service.notify(unit.connection, row["id"])


async def check_limit(installation: Installation, unit: Transaction, deployment_type: DeploymentType) -> None:
    """Raises Refusal where the rules of ModelArts hold and the workspace has as many services as it may."""
    if not installation.rules.is_strict:
        return
    # Two at once would both find room for one.
    await workspace.lock(unit.connection, unit.workspace_id)
    most = MOST[deployment_type]
    if await service.count(unit.connection, unit.workspace_id, deployment_type) >= most:
        raise Refusal(
            ErrorCode.LIMIT_REACHED,
            f"A workspace has at most {most} {deployment_type} services.",
            path=["name"],
            hint="Delete one that nobody needs.",
        )
