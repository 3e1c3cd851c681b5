"""Real-time services: versions that answer predictions one by one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from db import operation, service
from resolvers import field_rule, resource_pool
from resolvers.caller import Caller
from resolvers.deployment_type import DeploymentType
from resolvers.errors import AlreadyExists, Refusal, Refusals, invalid
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.service_target import TARGETS, Target, resolve_targets, target_violations
from resolvers.transaction import Transaction, transaction


@dataclass(frozen=True, slots=True)
class DeployRequest:
    name: str
    description: str | None
    targets: Sequence[Target]
    resource_pool: str | None = None


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
    refused = list(refusals)
    pool = None
    try:
        pool = await resource_pool.chosen(unit, request.resource_pool, path=["resourcePool"])
    except Refusal as refusal:
        refused.append(refusal)
    targets = await resolve_targets(installation, unit, request.targets, pool=pool, refusals=refused)
    assert pool is not None
    service_id = await service.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=request.description,
        deployment_type=DeploymentType.REAL_TIME,
        resource_pool_id=pool["id"],
        created_by=unit.actor,
    )
    if service_id is None:
        raise AlreadyExists(f"There is a service named {request.name!r} already.", path=["name"])
    await service.insert_configuration(
        unit.connection, unit.workspace_id, service_id, 1, [target.row for target in targets], unit.actor
    )
    unit.record("SERVICE_DEPLOY_REQUESTED", service_id, name=request.name)
    await operation.insert(unit.connection, unit.workspace_id, OperationKind.DEPLOY_SERVICE, service_id, unit.actor)
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
        refusals += target_violations(target, path=["targets", str(position)])
    weights = [target.weight for target in request.targets]
    if sum(weights) != 100:
        refusals.append(invalid(f"The weights of the targets add up to 100, not {sum(weights)}.", path=["targets"]))
    return refusals
