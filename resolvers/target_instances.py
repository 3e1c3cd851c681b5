"""Keeps the instances of a service's targets: made, placed, prepared, started again after a while, looked at, ended."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from asyncpg import Record

from artifacts.object_store import StoreError
from artifacts.package_directory import ArtifactDrift
from db import operation, service_instance
from engines.engine import EngineError, InstanceState, InstanceStatus
from resolvers.deployment_target import PreparedTarget, instance_specification, prepare
from resolvers.installation import Installation
from resolvers.instance_set import PENDING, Seen
from resolvers.operation_attempt import drift_problem
from resolvers.placement import place
from resolvers.service_instance import ServiceInstances, is_due
from resolvers.transaction import transaction

CONCURRENT_PREPARATIONS = 4
START_FAILURES = (EngineError, StoreError, ArtifactDrift)
ACTOR = "reconciler"


class TargetInstances:
    """For the owner of the engine alone. Rows are those of `db.service`'s targets and of `db.service_instance`."""

    def __init__(self, installation: Installation, instances: ServiceInstances) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._instances = instances
        self._prepared: dict[UUID, dict[UUID, PreparedTarget]] = {}
        self._preparations = asyncio.Semaphore(CONCURRENT_PREPARATIONS)

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
        instances = await service_instance.of_service(self._pool, row["workspace_id"], row["id"])
        async with asyncio.TaskGroup() as group:
            for instance in instances:
                group.create_task(self._instances.end(instance))
        self.forget(row["id"])

    def forget(self, service_id: UUID, *, kept: Collection[UUID] = ()) -> None:
        """Look anew, before the next start, at what a service's targets need: of all but those that are kept."""
        prepared = self._prepared.pop(service_id, {})
        if kept:
            self._prepared[service_id] = {key: value for key, value in prepared.items() if key in kept}

    async def _start(self, target: Record, due: Sequence[Record]) -> dict[UUID, Seen]:
        """Start instances of a target, up to the first that cannot be: the rest would meet with the same."""
        seen: dict[UUID, Seen] = {}
        try:
            for instance in due:
                seen[instance["id"]] = await self._place_and_start(target, instance)
        except START_FAILURES as failure:
            self._prepared.get(target["service_id"], {}).pop(target["id"], None)
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
            await self._tell(target, "SERVICE_INSTANCE_SCHEDULED", instance=instance["number"])
        prepared = await self._prepare(target)
        await self._instances.start(instance, instance_specification(self._installation, prepared, instance))
        return Seen(InstanceState.STARTING, None if instance["state"] == PENDING else instance["reason"])

    async def _prepare(self, target: Record) -> PreparedTarget:
        known = self._prepared.setdefault(target["service_id"], {})
        if target["id"] in known:
            return known[target["id"]]
        subject = (target["workspace_id"], target["service_id"])
        async with self._preparations:
            await operation.advance_subject(self._pool, *subject, "PREPARING", None)
            prepared = await prepare(self._installation, target, partial(self._tell_step, target))
        known[target["id"]] = prepared
        await operation.advance_subject(self._pool, *subject, "STARTING", None)
        return prepared

    async def _tell_step(self, target: Record, event: str, version: Record) -> None:
        await self._tell(target, event, model=version["model_name"], version=version["version"])

    async def _tell(self, target: Record, event: str, **data: object) -> None:
        async with transaction(self._pool, target["workspace_id"], ACTOR) as unit:
            unit.record(event, target["service_id"], **data)
