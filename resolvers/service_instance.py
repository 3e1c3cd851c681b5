"""Instances of services: started, looked at and ended on the engine, each written down as it was last seen."""

from datetime import UTC, datetime
from uuid import UUID

from asyncpg import Record

from artifacts.json_node import printable
from db import service, service_instance
from engines.engine import InstanceSpecification, InstanceState, InstanceStatus
from resolvers.installation import Installation
from resolvers.instance_set import Seen, next_attempt
from resolvers.service_log import ServiceLog

GRACE_SECONDS = 10.0
REASON_LENGTH = 2_000


class ServiceInstances:
    """For the owner of the engine alone. Rows are those of `db.service_instance`."""

    def __init__(self, installation: Installation) -> None:
        self._pool = installation.pool
        self._engine = installation.engine
        self.log = ServiceLog(installation)

    async def statuses(self) -> dict[str, InstanceStatus]:
        return {status.instance_id: status for status in await self._engine.statuses()}

    async def end_unknown(self) -> None:
        """End what runs without a row: its service was deleted while nobody owned the engine."""
        for instance_id in await self.statuses():
            if await service_instance.find(self._pool, UUID(instance_id)) is None:
                await self._engine.stop(instance_id, grace_seconds=GRACE_SECONDS)

    async def of_target(self, target: Record) -> list[Record]:
        """The rows of a target, its missing ones made."""
        known = await service_instance.of_target(self._pool, target["workspace_id"], target["id"])
        missing = max(0, target["instance_count"] - len(known))
        return [*known, *[await self._insert(target) for _ in range(missing)]]

    async def start(self, instance: Record, specification: InstanceSpecification) -> None:
        """Raises EngineError."""
        await self._note(instance, InstanceState.STARTING, reason=instance["reason"], attempts=instance["attempts"])
        await self._engine.start(specification)

    async def look(self, instance: Record, status: InstanceStatus) -> Seen:
        """What is to be said of an instance that the engine knows."""
        if status.state is InstanceState.EXITED:
            return await self._note_exit(instance, status)
        if status.state is InstanceState.READY and instance["state"] != InstanceState.READY:
            address = f"unix:{status.address}"
            await self._note(instance, InstanceState.READY, address=address, attempts=instance["attempts"])
        return Seen(status.state, instance["reason"])

    async def note_failure(self, instance: Record, reason: str) -> Seen:
        """It ended, or could not be started: when it may be tried again is noted beside the reason."""
        attempts, at = next_attempt(instance, datetime.now(UTC))
        reason = printable(reason)[:REASON_LENGTH]
        await self._note(instance, InstanceState.EXITED, reason=reason, attempts=attempts, next_attempt_at=at)
        return Seen(InstanceState.EXITED, reason)

    async def end(self, instance: Record) -> None:
        """Take it out of the routes, let it finish, then forget it."""
        instance_id = str(instance["id"])
        await self._note(instance, InstanceState.EXITED, attempts=instance["attempts"])
        # Only one that is ready can have a prediction to finish.
        grace_seconds = GRACE_SECONDS if instance["state"] == InstanceState.READY else 0
        await self._engine.stop(instance_id, grace_seconds=grace_seconds)
        await self.log.collect([instance_id])
        self.log.forget(instance_id)
        await service_instance.delete(self._pool, instance["workspace_id"], instance["id"])

    async def _note_exit(self, instance: Record, status: InstanceStatus) -> Seen:
        await self.log.collect([status.instance_id])
        reason = status.reason or f"The instance ended with exit code {status.exit_code}."
        seen = await self.note_failure(instance, reason)
        await self._engine.stop(status.instance_id, grace_seconds=0)
        return seen

    async def _insert(self, target: Record) -> Record:
        async with self._pool.acquire() as connection:
            inserted = await service_instance.insert(
                connection, target["workspace_id"], target["service_id"], target["id"]
            )
        assert inserted is not None
        return inserted

    async def _note(
        self,
        instance: Record,
        state: InstanceState,
        *,
        attempts: int,
        address: str | None = None,
        reason: str | None = None,
        next_attempt_at: datetime | None = None,
    ) -> None:
        observed = service_instance.Observation(state, address, reason, next_attempt_at, attempts)
        await service_instance.observe(self._pool, instance["workspace_id"], instance["id"], observed)
        await service.notify(self._pool, instance["service_id"])


def is_due(instance: Record) -> bool:
    """Whether an instance that does not run may be started."""
    at: datetime | None = instance["next_attempt_at"]
    return at is None or at <= datetime.now(UTC)
