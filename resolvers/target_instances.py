"""Keeps the instances of a service's targets: made, placed, prepared, started again after a while, looked at, ended."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from asyncpg import Record

from artifacts.package_directory import ArtifactDrift
from db import service_instance
from engines.engine import InstanceState, InstanceStatus
from resolvers.deployment_target import instance_specification
from resolvers.installation import Installation
from resolvers.instance_set import PENDING, PREPARING, Seen
from resolvers.operation_attempt import drift_problem
from resolvers.placement import place
from resolvers.preparation import START_FAILURES, Preparations
from resolvers.service_instance import ServiceInstances, is_due


class TargetInstances:
    """For the owner of the engine alone. Rows are those of `db.service`'s targets and of `db.service_instance`."""

    def __init__(self, installation: Installation, instances: ServiceInstances, preparations: Preparations) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._instances = instances
        self._preparations = preparations

    async def complete(self, target: Record, instances: Sequence[Record]) -> list[Record]:
        """The rows of a target's instances, its missing ones made: PENDING until they have a place."""
        missing = max(0, target["instance_count"] - len(instances))
        return [*instances, *[await self._instances.insert(target) for _ in range(missing)]]

    async def keep(
        self, target: Record, instances: Sequence[Record], statuses: Mapping[str, InstanceStatus]
    ) -> dict[UUID, Seen]:
        """Start what is due, look at what runs: what is to be said of each, by its id."""
        seen: dict[UUID, Seen] = {}
        due = []
        for instance in instances:
            status = statuses.get(str(instance["id"]))
            if status is not None:
                seen[instance["id"]] = await self._instances.look(instance, status)
            elif is_due(instance):
                due.append(instance)
            else:
                seen[instance["id"]] = Seen(InstanceState.EXITED, instance["reason"])
        return seen | await self._start(target, due)

    async def rest(self, row: Record) -> None:
        """End every instance of a service."""
        await self.forget(row["id"])
        instances = await service_instance.of_service(self._pool, row["workspace_id"], row["id"])
        async with asyncio.TaskGroup() as group:
            for instance in instances:
                group.create_task(self._instances.end(instance))

    async def forget(self, service_id: UUID, *, kept: Collection[UUID] = ()) -> None:
        """Look anew, before the next start, at what a service's targets need: of all but those that are kept."""
        await self._preparations.forget(service_id, kept=kept)

    async def _start(self, target: Record, due: Sequence[Record]) -> dict[UUID, Seen]:
        """Start instances of a target, up to the first that cannot be: the rest would meet with the same."""
        seen: dict[UUID, Seen] = {}
        try:
            for instance in due:
                seen[instance["id"]] = await self._place_and_start(target, instance)
        except START_FAILURES as failure:
            self._preparations.discard(target)
            problem = drift_problem(failure) if isinstance(failure, ArtifactDrift) else None
            for instance in due[len(seen) :]:
                noted = await self._instances.note_failure(
                    instance, str(failure), event="SERVICE_INSTANCE_START_FAILED"
                )
                seen[instance["id"]] = replace(noted, problem=problem)
        return seen

    async def _place_and_start(self, target: Record, instance: Record) -> Seen:
        """Raises those of START_FAILURES."""
        if instance["placed_at"] is None:
            waits_for = await place(self._pool, instance, target)
            if waits_for is not None:
                await self._instances.note_waiting(instance, waits_for)
                return Seen(PENDING, waits_for)
            await self._preparations.tell(target, "SERVICE_INSTANCE_SCHEDULED", instance=instance["number"])
        prepared = self._preparations.prepared(target)
        # What was seen of it last stays told meanwhile.
        reason = None if instance["state"] == PENDING else instance["reason"]
        if prepared is None:
            return Seen(PREPARING, reason)
        await self._instances.start(instance, instance_specification(self._installation, prepared, instance))
        return Seen(InstanceState.STARTING, reason)
