"""New configurations of services: changed ones, earlier ones again, and the same with new instances."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from uuid import UUID

from asyncpg import Record

from db import model_version, service_configuration
from db.service import NewTarget
from db.service_configuration import NewConfiguration
from resolvers import edge_deployment, resource_pool
from resolvers.caller import Caller
from resolvers.capacity import NAMES, Amounts
from resolvers.deployment_blocker import deployable, deployment_blockers
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal, invalid, not_found, raise_all
from resolvers.idempotency import once
from resolvers.input_check import check_violations
from resolvers.installation import Installation
from resolvers.service import RESTART, ROLL_BACK, Action, ServiceStatus, begin, check_allowed, held
from resolvers.size_choice import pool_violations
from resolvers.transaction import Transaction, transaction

# No instance of it is ready: predictions may go to the new configuration's as soon as there is one.
SERVES_NOTHING = frozenset({ServiceStatus.PENDING, ServiceStatus.FAILED, ServiceStatus.STOPPED})
RESTORED_PATH = ("configurationNumber",)


async def roll_back(
    installation: Installation,
    caller: Caller,
    *,
    service_name: str,
    configuration_number: int | None,
    expected_revision: int | None,
    idempotency_key: str | None,
) -> UUID:
    """Bring an earlier configuration back, the one before the wanted one where none is named: the service's id.

    Raises Refusals.
    """
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            row = await _held(unit, service_name, expected_revision)
            check_allowed(ROLL_BACK, row)
            number = await _restored_number(unit, row, configuration_number)
            targets = await _restored(installation, unit, row, number)
            await edge_deployment.hold_nodes(unit, row, number)
            await ask_for(unit, ROLL_BACK, row, targets, restored_number=number)
            await edge_deployment.settle(unit, row)
            service_id: UUID = row["id"]
            return service_id

        request = {
            "serviceName": service_name,
            "configurationNumber": configuration_number,
            "expectedRevision": expected_revision,
        }
        return await once(unit, mutation="rollBackService", key=idempotency_key, request=request, act=act)


async def restart(
    installation: Installation,
    caller: Caller,
    *,
    service_name: str,
    expected_revision: int | None,
    idempotency_key: str | None,
) -> UUID:
    """Put new instances in the place of all that a service has, without a gap: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            row = await _held(unit, service_name, expected_revision)
            check_allowed(RESTART, row)
            identity = (unit.workspace_id, row["id"])
            generation = 1 + await service_configuration.highest_generation(unit.connection, *identity)
            targets = await targets_of(unit, row, row["last_configuration_number"])
            await ask_for(unit, RESTART, row, [replace(target, generation=generation) for target in targets])
            await edge_deployment.settle(unit, row)
            service_id: UUID = row["id"]
            return service_id

        request = {"serviceName": service_name, "expectedRevision": expected_revision}
        return await once(unit, mutation="restartService", key=idempotency_key, request=request, act=act)


async def _held(unit: Transaction, name: str, expected_revision: int | None) -> Record:
    """The row of a service that goes on running what it runs, held. Raises Refusal."""
    row = await held(unit, name, expected_revision)
    if row["deployment_type"] == DeploymentType.BATCH:
        message = f"The service {name!r} is a BATCH service; this is for REAL_TIME and EDGE ones."
        raise Refusal(ErrorCode.INVALID_STATE, message, path=["serviceName"])
    return row


async def ask_for(
    unit: Transaction,
    action: Action,
    row: Record,
    targets: Sequence[NewTarget],
    *,
    restored_number: int | None = None,
) -> None:
    """Write down a new configuration of a service whose row is locked, and begin to bring it into force."""
    number = row["last_configuration_number"] + 1
    is_stopped = row["status"] == ServiceStatus.STOPPED
    await service_configuration.supersede(unit.connection, unit.workspace_id, row["id"])
    new = NewConfiguration(number, _cause(action), targets, restored_number)
    await service_configuration.insert(unit.connection, unit.workspace_id, row["id"], new, unit.actor)
    await service_configuration.want(
        unit.connection,
        unit.workspace_id,
        row["id"],
        number,
        status=ServiceStatus.STOPPED if is_stopped else ServiceStatus.DEPLOYING,
        is_routed=row["status"] in SERVES_NOTHING,
    )
    if is_stopped:
        # It is used from the next start on; until then there is nothing to do.
        unit.record(action.event, row["id"], name=row["name"])
    else:
        await begin(unit, action, row)


async def targets_of(unit: Transaction, row: Record, number: int) -> list[NewTarget]:
    """What a configuration of a service runs, to be written down anew."""
    found = await service_configuration.targets(unit.connection, unit.workspace_id, row["id"], [number])
    names = [field.name for field in fields(NewTarget)]
    return [NewTarget(**{name: target[name] for name in names}) for target in found]


def _cause(action: Action) -> str:
    assert action.kind is not None
    return action.kind.removesuffix("_SERVICE")


async def _restored_number(unit: Transaction, row: Record, asked: int | None) -> int:
    """Raises Refusal."""
    last = row["last_configuration_number"]
    number = last - 1 if asked is None else asked
    if asked is None and last == 1:
        raise Refusal(
            ErrorCode.NOT_FOUND, "The service has had no other configuration to go back to.", path=["serviceName"]
        )
    if number == last:
        raise invalid(f"Configuration {number} is the one that is wanted already.", path=RESTORED_PATH)
    is_possible = 1 <= number <= last
    if (
        not is_possible
        or await service_configuration.find(unit.connection, unit.workspace_id, row["id"], number) is None
    ):
        raise not_found(
            f"configuration {number} of the service {row['name']!r}", path=RESTORED_PATH, hint=f"The newest is {last}."
        )
    return number


async def _restored(installation: Installation, unit: Transaction, row: Record, number: int) -> list[NewTarget]:
    """Raises Refusals where a version has been deleted since, or could not be deployed any more."""
    targets = await targets_of(unit, row, number)
    pool = await resource_pool.of_service(unit, row)
    serving = None if row["status"] in SERVES_NOTHING else row["routed_configuration_number"]
    refusals: list[Refusal] = []
    for target in sorted(targets, key=lambda target: target.model_version_id):
        # Held so that it is not deleted between this look and the new row that depends on it.
        await model_version.lock(unit.connection, unit.workspace_id, target.model_version_id)
        version = await model_version.find(unit.connection, unit.workspace_id, target.model_version_id)
        if version is None or version["deleted_at"] is not None:
            what = f"version {version['version']!r}" if version else "version"
            refusals.append(not_found(f"{what} any more, which configuration {number} runs", path=RESTORED_PATH))
        # What serves has been started already.
        elif number != serving:
            refusals += _obstacles(installation, row, target, version, pool)
            if row["checks_inputs"]:
                refusals += await check_violations([version], path=RESTORED_PATH)
    raise_all(refusals)
    return targets


def _obstacles(
    installation: Installation, row: Record, target: NewTarget, version: Record, pool: Record
) -> Iterator[Refusal]:
    """Why what ran once could not be started today."""
    deployment_type = DeploymentType(row["deployment_type"])
    for blocker in deployment_blockers(installation, deployable(version), deployment_type):
        blocker.path = RESTORED_PATH
        yield blocker
    if deployment_type is not DeploymentType.EDGE:
        takes = Amounts(*(getattr(target, name) for name in NAMES))
        yield from pool_violations(takes, pool, path=RESTORED_PATH)
