"""Batch services: versions that are asked for every input in storage once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db import batch_configuration, batch_run, operation, service, service_configuration
from db import resource_pool as pools
from db.service_configuration import NewConfiguration
from resolvers import field_rule, resource_pool
from resolvers.batch_look import look
from resolvers.batch_request import BatchRequest, violations
from resolvers.batch_resolution import BatchResolution, Resolved
from resolvers.caller import Caller
from resolvers.deployment import Deployment, deployed
from resolvers.deployment_type import DeploymentType
from resolvers.errors import AlreadyExists, ErrorCode, Refusal, raise_all
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.service import CHANGE_SETTINGS, Action, ServiceStatus, check_allowed, check_limit, held
from resolvers.service_settings import describe
from resolvers.transaction import Transaction

AT_REST = frozenset({ServiceStatus.STOPPED, ServiceStatus.FINISHED, ServiceStatus.FAILED})
UPDATE_BATCH = Action("updated", AT_REST, "SERVICE_UPDATE_REQUESTED")


@dataclass(frozen=True, slots=True)
class DeployBatchRequest:
    name: str
    description: str | None
    resource_pool: str | None
    batch: BatchRequest


@dataclass(frozen=True, slots=True)
class UpdateBatchRequest:
    """None leaves the description as it is; an empty one takes it away."""

    service_name: str
    batch: BatchRequest
    expected_revision: int | None
    description: str | None = None


async def deploy_batch(
    installation: Installation, caller: Caller, request: DeployBatchRequest, *, idempotency_key: str | None
) -> Deployment:
    """Ask for a batch service, DEPLOYING from now on. Raises Refusals."""
    refusals = [
        *field_rule.name(request.name, path=["name"]),
        *field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"]),
        *violations(request.batch),
        *await look(installation, caller, request.batch),
    ]

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await _insert(installation, unit, request, refusals, warnings)

    return await deployed(
        installation, caller, deed, mutation="deployBatchService", request=request, idempotency_key=idempotency_key
    )


async def update_batch(
    installation: Installation, caller: Caller, request: UpdateBatchRequest, *, idempotency_key: str | None
) -> Deployment:
    """Change what a service that is at rest does when it is started next: STOPPED until then. Raises Refusals."""
    refusals = [
        *field_rule.description(request.description, is_strict=installation.rules.is_strict, path=["description"]),
        *violations(request.batch),
        *await look(installation, caller, request.batch),
    ]

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await _update(installation, unit, request, refusals, warnings)

    return await deployed(
        installation, caller, deed, mutation="updateBatchService", request=request, idempotency_key=idempotency_key
    )


async def _insert(
    installation: Installation,
    unit: Transaction,
    request: DeployBatchRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    resolution = BatchResolution(installation, unit, request.batch, refusals)
    pool = await resolution.attempt(resource_pool.chosen(unit, request.resource_pool, path=["resourcePool"]))
    resolved = await resolution.resolve(pool, service_name=request.name)
    assert pool is not None
    await check_limit(installation, unit, DeploymentType.BATCH)
    service_id = await service.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=request.description,
        deployment_type=DeploymentType.BATCH,
        resource_pool_id=pool["id"],
        created_by=unit.actor,
    )
    if service_id is None:
        raise AlreadyExists(f"There is a service named {request.name!r} already.", path=["name"])
    await _configure(unit, service_id, NewConfiguration(1, "DEPLOY", [resolved.target]), resolved)
    unit.record("SERVICE_DEPLOY_REQUESTED", service_id, name=request.name)
    await operation.insert(unit.connection, unit.workspace_id, OperationKind.DEPLOY_SERVICE, service_id, unit.actor)
    await service.notify(unit.connection, service_id)
    warnings += resolved.warnings
    return service_id


async def _update(
    installation: Installation,
    unit: Transaction,
    request: UpdateBatchRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    row = await held(unit, request.service_name, request.expected_revision, deployment_type=DeploymentType.BATCH)
    service_id: UUID = row["id"]
    if request.batch == BatchRequest():
        check_allowed(CHANGE_SETTINGS, row)
        raise_all(refusals)
        if await describe(unit, row, request.description):
            await service.revise(unit.connection, unit.workspace_id, service_id)
        return service_id
    check_allowed(UPDATE_BATCH, row)
    pool = await pools.find(unit.connection, unit.workspace_id, pool_id=row["resource_pool_id"])
    resolution = BatchResolution(installation, unit, request.batch, refusals, row)
    resolved = await resolution.resolve(pool, service_name=row["name"])
    await describe(unit, row, request.description)
    number = row["last_configuration_number"] + 1
    await service_configuration.supersede(unit.connection, unit.workspace_id, service_id)
    await _configure(unit, service_id, NewConfiguration(number, "UPDATE", [resolved.target]), resolved)
    # One that failed may still have instances, which are tried again: they end first.
    status = ServiceStatus.STOPPING if row["status"] == ServiceStatus.FAILED else ServiceStatus.STOPPED
    await service_configuration.want(
        unit.connection, unit.workspace_id, service_id, number, status=status, is_routed=True
    )
    await batch_configuration.rest(unit.connection, unit.workspace_id, service_id)
    unit.record(UPDATE_BATCH.event, service_id, name=row["name"])
    await service.notify(unit.connection, service_id)
    warnings += [*resolved.warnings, *await _given_up(unit, request, row)]
    return service_id


async def _given_up(unit: Transaction, request: UpdateBatchRequest, row: Record) -> list[Refusal]:
    """What is to be said of a run that is not finished, and now never will be."""
    run = await batch_run.newest(unit.connection, unit.workspace_id, row["id"])
    if run is None or run["is_reported"] or request.batch.output is not None or not run["succeeded_count"]:
        return []
    return [
        Refusal(
            ErrorCode.OUTPUT_NOT_EMPTY,
            f"Run {run['number']} is not gone on with, and what it has written lies in the output, which has to be "
            "empty when the service is started.",
            path=["output"],
            hint="Name another output. To go on with a run, start the service before anything is changed.",
        )
    ]


async def _configure(unit: Transaction, service_id: UUID, new: NewConfiguration, resolved: Resolved) -> None:
    await service_configuration.insert(unit.connection, unit.workspace_id, service_id, new, unit.actor)
    await batch_configuration.insert(unit.connection, unit.workspace_id, service_id, new.number, resolved.configuration)
