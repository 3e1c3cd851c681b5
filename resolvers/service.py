"""Services: asking for a deployment, a start, a stop, an end. A reconciler makes it so."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from uuid import UUID

from asyncpg import Record

from artifacts.ai_engine import AiEngine
from db import model_version, operation, service, service_instance
from engines.engine import Capability
from engines.runtime_catalogue import resolve
from resolvers import field_rule, inference_specification
from resolvers.caller import Caller
from resolvers.deployment_type import DeploymentType
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    Refusal,
    Refusals,
    RevisionConflict,
    UnsupportedByEngine,
    invalid,
    not_found,
    raise_all,
)
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.operation import OperationKind
from resolvers.transaction import Transaction, transaction

TARGETS = 10
INSTANCES = 20
ENVIRONMENT_VARIABLES = 100
ENVIRONMENT_VALUE_LENGTH = 4_000
# Names by which package code could be made to load something else than what was imported.
RESERVED_ENVIRONMENT = re.compile(r"(LD_|PYTHON|MODELYARD_).*|PATH|HOME|DATABASE_URL|OBJECT_STORE_URL", re.ASCII)


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
class EnvironmentVariable:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Target:
    model_name: str
    version: str
    weight: int
    inference_specification: str | None
    instance_count: int
    environment: Sequence[EnvironmentVariable]


@dataclass(frozen=True, slots=True)
class DeployRequest:
    name: str
    description: str | None
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True)
class Deployable:
    """What of a version decides whether it can be deployed."""

    status: str
    model_name: str
    version: str
    deployment_types: Sequence[str]
    ai_engine: str | None
    runtime: str | None
    integrity_state: str | None


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


async def deploy_real_time(
    installation: Installation, caller: Caller, request: DeployRequest, *, idempotency_key: str | None
) -> UUID:
    """Ask for a real-time service: its id, DEPLOYING from now on. Raises Refusals."""
    refusals = _violations(installation, request)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _insert(installation, unit, request, refusals)

        return await once(unit, mutation="deployRealTimeService", key=idempotency_key, request=asdict(request), act=act)


async def _insert(
    installation: Installation, unit: Transaction, request: DeployRequest, refusals: Sequence[Refusal]
) -> UUID:
    targets = await _targets(installation, unit, request.targets, refusals)
    service_id = await service.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=request.description,
        deployment_type=DeploymentType.REAL_TIME,
        created_by=unit.actor,
    )
    if service_id is None:
        raise AlreadyExists(f"There is a service named {request.name!r} already.", path=["name"])
    await service.insert_configuration(unit.connection, unit.workspace_id, service_id, 1, targets, unit.actor)
    unit.record("SERVICE_DEPLOY_REQUESTED", service_id, name=request.name)
    await operation.insert(unit.connection, unit.workspace_id, OperationKind.DEPLOY_SERVICE, service_id, unit.actor)
    await service.notify(unit.connection, service_id)
    return service_id


async def _targets(
    installation: Installation, unit: Transaction, targets: Sequence[Target], refusals: Sequence[Refusal]
) -> list[service.NewTarget]:
    found: dict[int, service.NewTarget] = {}
    refused = list(refusals)
    models = set()
    # The versions are locked in the same order by everybody, whatever order they are given in.
    for position, target in sorted(enumerate(targets), key=lambda item: (item[1].model_name, item[1].version)):
        try:
            row = await _deployable_version(installation, unit, target, path=["targets", str(position), "modelVersion"])
        except Refusal as refusal:
            refused.append(refusal)
            continue
        models.add(row["model_id"])
        found[position] = _new_target(row, target)
    if len(models) > 1:
        refused.append(invalid("The versions of one service are all of one model.", path=["targets"]))
    if len({target.model_version_id for target in found.values()}) < len(found):
        refused.append(invalid("A version is given twice.", path=["targets"]))
    raise_all(refused)
    return [found[position] for position in range(len(targets))]


def _new_target(row: Record, target: Target) -> service.NewTarget:
    return service.NewTarget(
        row["id"],
        target.weight,
        target.inference_specification or inference_specification.DEFAULT.name,
        target.instance_count,
        [asdict(variable) for variable in target.environment],
    )


async def _deployable_version(
    installation: Installation, unit: Transaction, target: Target, *, path: Sequence[str]
) -> Record:
    version_id = await find_id(unit, target.model_name, target.version, path=path)
    # Held so that the version cannot be deleted between this look and the new row that depends on it.
    await model_version.lock(unit.connection, unit.workspace_id, version_id)
    row = await model_version.find(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    if row["deleted_at"] is not None:
        what = f"version {target.version!r} of the model {target.model_name!r}"
        raise not_found(what, path=[*path, "version"])
    blockers = deployment_blockers(installation, _deployable(row), DeploymentType.REAL_TIME)
    if blockers:
        blocker = blockers[0]
        blocker.path = tuple(path)
        raise blocker
    return row


def _deployable(row: Record) -> Deployable:
    return Deployable(**{each.name: row[each.name] for each in fields(Deployable)})


def deployment_blockers(
    installation: Installation, version: Deployable, deployment_type: DeploymentType
) -> list[Refusal]:
    """Why a version cannot be deployed as a type: none where it can."""
    if version.status != "NORMAL":
        return [
            Refusal(
                ErrorCode.MODEL_VERSION_NOT_READY,
                f"{version.model_name} {version.version} is {version.status}; only a NORMAL version can be deployed.",
                hint="Look at its problems, mend them, then retryImport."
                if version.status.endswith("FAILED")
                else "Wait until it is NORMAL.",
            )
        ]
    if deployment_type not in version.deployment_types:
        return [
            Refusal(
                ErrorCode.DEPLOYMENT_TYPE_NOT_CHOSEN,
                f"{deployment_type} was not chosen when {version.model_name} {version.version} was imported.",
                hint=f"It can be deployed as: {', '.join(version.deployment_types)}. Import another version for more.",
            )
        ]
    if version.integrity_state == "DRIFTED":
        return [
            Refusal(
                ErrorCode.ARTIFACT_DRIFT,
                f"Stored files of {version.model_name} {version.version} are not the ones that were imported.",
                hint="integrity tells which. Restore them or import the same package again; "
                "then verifyModelVersion looks again.",
            )
        ]
    engine = installation.engine
    if Capability(deployment_type.value) not in engine.capabilities:
        message = f"The engine {engine.name} does not run {deployment_type} services."
        return [UnsupportedByEngine(message, engine=engine.name, field="deploymentType")]
    if version.ai_engine == AiEngine.IMAGE:
        return [] if Capability.CONTAINER_IMAGE in engine.capabilities else [_no_containers(engine.name)]
    runtime = resolve(version.ai_engine or "", version.runtime)
    if runtime is None or not runtime.is_available:
        message = f"The engine {engine.name} has no environment for {version.ai_engine} models."
        return [UnsupportedByEngine(message, engine=engine.name, field="aiEngine")]
    return []


def _no_containers(engine: str) -> Refusal:
    return UnsupportedByEngine(f"The engine {engine} runs no container images.", engine=engine, field="containerImage")


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


def _violations(installation: Installation, request: DeployRequest) -> list[Refusal]:
    refusals = [
        *field_rule.name(request.name, path=["name"]),
        *field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"]),
    ]
    if not 1 <= len(request.targets) <= TARGETS:
        raise Refusals([*refusals, invalid(f"A service has 1 to {TARGETS} targets.", path=["targets"])])
    for position, target in enumerate(request.targets):
        refusals += _target_violations(target, path=["targets", str(position)])
    weights = [target.weight for target in request.targets]
    if sum(weights) != 100:
        refusals.append(invalid(f"The weights of the targets add up to 100, not {sum(weights)}.", path=["targets"]))
    return refusals


def _target_violations(target: Target, *, path: Sequence[str]) -> list[Refusal]:
    refusals = []
    if not 0 <= target.weight <= 100:
        refusals.append(invalid("A weight is 0 to 100.", path=[*path, "weight"]))
    if not 1 <= target.instance_count <= INSTANCES:
        refusals.append(invalid(f"A target has 1 to {INSTANCES} instances.", path=[*path, "instanceCount"]))
    name = target.inference_specification
    if name is not None and inference_specification.find(name) is None:
        names = ", ".join(entry.name for entry in inference_specification.CATALOGUE)
        refusals.append(
            Refusal(
                ErrorCode.NOT_FOUND,
                f"There is no inference specification named {name!r}.",
                path=[*path, "inferenceSpecification"],
                hint=f"There are: {names}.",
            )
        )
    return refusals + _environment_violations(target.environment, path=[*path, "environment"])


def _environment_violations(environment: Sequence[EnvironmentVariable], *, path: Sequence[str]) -> list[Refusal]:
    refusals = []
    if len(environment) > ENVIRONMENT_VARIABLES:
        refusals.append(invalid(f"A target has at most {ENVIRONMENT_VARIABLES} environment variables.", path=path))
    names = [variable.name for variable in environment]
    for position, variable in enumerate(environment):
        here = [*path, str(position)]
        if field_rule.ENVIRONMENT_NAME.fullmatch(variable.name) is None:
            refusals.append(invalid("An environment variable's name has letters, digits and _.", path=[*here, "name"]))
        elif RESERVED_ENVIRONMENT.fullmatch(variable.name):
            refusals.append(invalid(f"{variable.name} is set by the server.", path=[*here, "name"]))
        if variable.name in names[:position]:
            refusals.append(invalid(f"{variable.name} is given twice.", path=[*here, "name"]))
        if len(variable.value) > ENVIRONMENT_VALUE_LENGTH or "\0" in variable.value:
            refusals.append(
                invalid(f"A value has at most {ENVIRONMENT_VALUE_LENGTH} characters.", path=[*here, "value"])
            )
    return refusals
