"""Real-time services: versions that answer predictions one by one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from asyncpg import Record

from db import operation, service, service_configuration
from db.service import NewTarget
from db.service_configuration import NewConfiguration
from resolvers import field_rule, resource_pool
from resolvers.caller import Caller
from resolvers.deployment import Deployment, deployed
from resolvers.deployment_plan import check
from resolvers.deployment_type import DeploymentType
from resolvers.errors import AlreadyExists, Refusal, Refusals, invalid, raise_all
from resolvers.input_check import check_violations_of
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.service import CHANGE_SETTINGS, UPDATE, check_allowed, check_limit, held
from resolvers.service_configuration import ask_for, targets_of
from resolvers.service_settings import SettingChanges, burst_violations, setting_violations
from resolvers.service_target import TARGETS, ResolvedTarget, Target, resolve_targets, target_violations
from resolvers.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DeployRequest:
    name: str
    targets: Sequence[Target]
    settings: SettingChanges
    resource_pool: str | None = None
    plan_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """`targets` is None where they are to stay as they are."""

    service_name: str
    targets: Sequence[Target] | None
    settings: SettingChanges
    plan_fingerprint: str | None = None
    expected_revision: int | None = None


async def deploy_real_time(
    installation: Installation, caller: Caller, request: DeployRequest, *, idempotency_key: str | None
) -> Deployment:
    """Ask for a real-time service, DEPLOYING from now on. Raises Refusals."""

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await deploy_within(installation, unit, request, warnings)

    return await deployed(
        installation, caller, deed, mutation="deployRealTimeService", request=request, idempotency_key=idempotency_key
    )


async def update_real_time(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> Deployment:
    """Change what a real-time service runs, what is said of it, or both. Raises Refusals."""

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await update_within(installation, unit, request, warnings)

    return await deployed(
        installation, caller, deed, mutation="updateRealTimeService", request=request, idempotency_key=idempotency_key
    )


async def deploy_within(
    installation: Installation, unit: Transaction, request: DeployRequest, warnings: list[Refusal]
) -> UUID:
    """Ask for a real-time service in a transaction: its id. Adds to `warnings`. Raises Refusals."""
    refusals = [
        *field_rule.name(request.name, path=["name"]),
        *setting_violations(installation, request.settings),
        *burst_violations(request.settings.settings_of(None)),
    ]
    refusals += _target_violations(request.targets, refusals)
    return await _insert(installation, unit, request, refusals, warnings)


async def update_within(
    installation: Installation, unit: Transaction, request: UpdateRequest, warnings: list[Refusal]
) -> UUID:
    """Change a real-time service in a transaction: its id. Adds to `warnings`. Raises Refusals."""
    refusals = setting_violations(installation, request.settings)
    if request.targets is not None:
        refusals += _target_violations(request.targets, refusals)
    return await _update(installation, unit, request, refusals, warnings)


async def _insert(
    installation: Installation,
    unit: Transaction,
    request: DeployRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    refused = list(refusals)
    pool = None
    try:
        pool = await resource_pool.chosen(unit, request.resource_pool, path=["resourcePool"])
    except Refusal as refusal:
        refused.append(refusal)
    settings = request.settings.settings_of(None)
    targets = await resolve_targets(
        installation, unit, request.targets, pool=pool, checks_inputs=settings.checks_inputs, refusals=refused
    )
    assert pool is not None
    await check(installation, unit, request.plan_fingerprint, targets, None, pool, request=asdict(request))
    await check_limit(installation, unit, DeploymentType.REAL_TIME)
    service_id = await service.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=None,
        deployment_type=DeploymentType.REAL_TIME,
        resource_pool_id=pool["id"],
        created_by=unit.actor,
    )
    if service_id is None:
        raise AlreadyExists(f"There is a service named {request.name!r} already.", path=["name"])
    said = (request.settings.description_of(None), settings)
    await service.change_settings(unit.connection, unit.workspace_id, service_id, *said)
    first = NewConfiguration(1, "DEPLOY", [target.row for target in targets])
    await service_configuration.insert(unit.connection, unit.workspace_id, service_id, first, unit.actor)
    unit.record("SERVICE_DEPLOY_REQUESTED", service_id, name=request.name)
    await operation.insert(unit.connection, unit.workspace_id, OperationKind.DEPLOY_SERVICE, service_id, unit.actor)
    await service.notify(unit.connection, service_id)
    warnings += _warnings(targets)
    return service_id


async def _update(
    installation: Installation,
    unit: Transaction,
    request: UpdateRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    row = await held(unit, request.service_name, request.expected_revision, deployment_type=DeploymentType.REAL_TIME)
    check_allowed(CHANGE_SETTINGS if request.targets is None else UPDATE, row)
    settings = request.settings.settings_of(row)
    refused = [*refusals, *burst_violations(settings)]
    if request.targets is None:
        if settings.checks_inputs and not row["checks_inputs"]:
            refused += await check_violations_of(unit, row)
        raise_all(refused)
        if await _change_settings(unit, request, row):
            await service.revise(unit.connection, unit.workspace_id, row["id"])
    else:
        targets = await _resolved(installation, unit, request, row, refused)
        await _change_settings(unit, request, row)
        await ask_for(unit, UPDATE, row, await _continued(unit, row, targets))
        warnings += _warnings(targets)
    service_id: UUID = row["id"]
    return service_id


async def _resolved(
    installation: Installation,
    unit: Transaction,
    request: UpdateRequest,
    row: Record,
    refusals: Sequence[Refusal],
) -> list[ResolvedTarget]:
    assert request.targets is not None
    pool = await resource_pool.of_service(unit, row)
    checks_inputs = request.settings.settings_of(row).checks_inputs
    targets = await resolve_targets(
        installation, unit, request.targets, pool=pool, checks_inputs=checks_inputs, refusals=refusals
    )
    await check(installation, unit, request.plan_fingerprint, targets, row, pool, request=asdict(request))
    return targets


async def _change_settings(unit: Transaction, request: UpdateRequest, row: Record) -> bool:
    """Whether anything is other than it was."""
    now = SettingChanges()
    before = (now.description_of(row), now.settings_of(row))
    after = (request.settings.description_of(row), request.settings.settings_of(row))
    if after == before:
        return False
    await service.change_settings(unit.connection, unit.workspace_id, row["id"], *after)
    unit.record(CHANGE_SETTINGS.event, row["id"], fields=list(request.settings.given))
    await service.notify(unit.connection, row["id"])
    return True


async def _continued(unit: Transaction, row: Record, targets: Sequence[ResolvedTarget]) -> list[NewTarget]:
    """Targets with the generations of those that they continue, whose instances they can have."""
    wanted = await targets_of(unit, row, row["last_configuration_number"])
    generations = {target.model_version_id: target.generation for target in wanted}
    return [
        replace(target.row, generation=generations.get(target.row.model_version_id, target.row.generation))
        for target in targets
    ]


def _target_violations(targets: Sequence[Target], others: Sequence[Refusal]) -> list[Refusal]:
    """What is wrong with them by themselves. Raises Refusals, with the `others`, where they are too many to look at."""
    if not 1 <= len(targets) <= TARGETS:
        raise Refusals([*others, invalid(f"A service has 1 to {TARGETS} targets.", path=["targets"])])
    refusals = []
    for position, target in enumerate(targets):
        refusals += target_violations(target, path=["targets", str(position)])
    weights = [target.weight for target in targets]
    if sum(weights) != 100:
        refusals.append(invalid(f"The weights of the targets add up to 100, not {sum(weights)}.", path=["targets"]))
    return refusals


def _warnings(targets: Sequence[ResolvedTarget]) -> list[Refusal]:
    return [warning for target in targets for warning in target.warnings]
