"""Keeps real-time services running, and brings a new configuration of one into force without a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db import service, service_configuration, service_instance
from engines.engine import InstanceStatus
from resolvers.adoption import assign, own
from resolvers.installation import Installation
from resolvers.instance_set import Seen, Update, status_of
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_instance import ServiceInstances
from resolvers.service_observation import ACTOR, lock_unchanged, note, observe, overdue
from resolvers.target_instances import TargetInstances
from resolvers.transaction import transaction

Group = tuple[Record, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Targets with their instances: of the configuration that is wanted, and of the routed one where it is another.

    The wanted targets' may be the routed ones' at the same time. `instances` are all that the service has.
    """

    wanted: Sequence[Group]
    routed: Sequence[Group]
    instances: Sequence[Record]


class RealTimeKeeper:
    """An update: what the wanted configuration needs is started beside what serves; once all of it is ready, one
    transaction turns the routes over to it, and what nobody needs any more is drained."""

    def __init__(self, installation: Installation, instances: ServiceInstances, targets: TargetInstances) -> None:
        self._pool = installation.pool
        self._instances = instances
        self._targets = targets
        self._timeout_seconds = installation.rules.deployment_timeout_seconds

    async def keep(self, row: Record, statuses: Mapping[str, InstanceStatus]) -> None:
        """See `resolvers.reconciler.Keeper`."""
        standing = await self._standing(row)
        seen = await self._keep(standing, statuses)
        wanted = [seen[instance["id"]] for _, instances in standing.wanted for instance in instances]
        update = _update(row, standing, seen)
        timeout_seconds = await overdue(self._pool, row, self._timeout_seconds)
        observed = status_of(row, wanted, update=update, timeout_seconds=timeout_seconds)
        is_complete = observed.status == ServiceStatus.RUNNING
        if update is None or not is_complete:
            problem = next((each.problem for each in wanted if each.problem), None)
            is_late = timeout_seconds is not None and not is_complete
            await observe(self._pool, row, observed, problem, is_late=is_late)
        elif not await self._turn_over(row, standing, observed):
            return
        await self._dismiss_rest(row, standing, has_update=update is not None and not is_complete)

    async def rest(self, row: Record) -> None:
        """See `resolvers.reconciler.Keeper`."""
        await self._targets.rest(row)
        is_deleted = row["desired_state"] == ServiceDesiredState.DELETED
        status = ServiceStatus.DELETING if is_deleted else ServiceStatus.STOPPED
        await observe(self._pool, row, service.Observation(status, None, None, is_deleted))

    async def _standing(self, row: Record) -> Standing:
        number, routed_number = row["last_configuration_number"], row["routed_configuration_number"]
        identity = (row["workspace_id"], row["id"])
        targets = await service_configuration.targets(self._pool, *identity, [number, routed_number or number])
        wanted = [target for target in targets if target["configuration_number"] == number]
        routed = [target for target in targets if target["configuration_number"] != number]
        instances = await self._instances.of_service(row)
        assigned = assign(wanted, instances)
        return Standing(
            [(target, await self._targets.complete(target, assigned[target["id"]])) for target in wanted],
            [(target, await self._targets.complete(target, own(target, instances))) for target in routed],
            instances,
        )

    async def _keep(self, standing: Standing, statuses: Mapping[str, InstanceStatus]) -> dict[UUID, Seen]:
        seen: dict[UUID, Seen] = {}
        # What serves comes first: it must not wait for a new version's environment.
        for target, instances in [*standing.routed, *standing.wanted]:
            left = [instance for instance in instances if instance["id"] not in seen]
            seen |= await self._targets.keep(target, left, statuses)
        return seen

    async def _turn_over(self, row: Record, standing: Standing, observed: service.Observation) -> bool:
        """Bring the wanted configuration into force, unless something else is wanted by now: whether it was done."""
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await lock_unchanged(unit, row)
            if current is None:
                return False
            for target, instances in standing.wanted:
                adopted = [each["id"] for each in instances if each["service_target_id"] != target["id"]]
                await service_instance.adopt(unit.connection, unit.workspace_id, adopted, target["id"])
            number = current["last_configuration_number"]
            await service_configuration.route(unit.connection, unit.workspace_id, current["id"], number)
            await note(unit, current, observed)
        return True

    async def _dismiss_rest(self, row: Record, standing: Standing, *, has_update: bool) -> None:
        """Let go of every instance that no target needs; the routed ones do only while an update is under way."""
        groups = [*standing.wanted, *(standing.routed if has_update else ())]
        kept = {instance["id"] for _, instances in groups for instance in instances}
        self._instances.dismiss(instance for instance in standing.instances if instance["id"] not in kept)
        await self._targets.forget(row["id"], kept={target["id"] for target, _ in groups})


def _update(row: Record, standing: Standing, seen: Mapping[UUID, Seen]) -> Update | None:
    number, routed_number = row["last_configuration_number"], row["routed_configuration_number"]
    if routed_number in (None, number):
        return None
    serving = [seen[instance["id"]] for _, instances in standing.routed for instance in instances]
    return Update(number, routed_number, sum(each.state == "READY" for each in serving))
