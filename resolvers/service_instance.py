"""Instances of services: started, looked at and ended on the engine, each written down as it was last seen."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import structlog
from asyncpg import Record

from artifacts.json_node import printable
from db import service, service_instance
from engines.engine import InstanceSpecification, InstanceState, InstanceStatus
from resolvers.installation import Installation
from resolvers.instance_set import PENDING, Seen, next_attempt
from resolvers.service_log import ServiceLog
from resolvers.transaction import transaction

GRACE_SECONDS = 10.0
# So long after its route is gone an instance is asked to end: by then every gateway has heard of it.
ROUTES_SETTLE_SECONDS = 1.0
REASON_LENGTH = 4_000
LINES_LENGTH = 2_000
# Of a crash loop no more is told than that it began.
TOLD_ATTEMPTS = 5
ACTOR = "reconciler"
logger = structlog.get_logger()


class ServiceInstances:
    """For the owner of the engine alone. Rows are those of `db.service_instance`."""

    def __init__(self, installation: Installation) -> None:
        self._pool = installation.pool
        self._engine = installation.engine
        self._drain_seconds = installation.rules.prediction_timeout_seconds
        self._draining: dict[UUID, asyncio.Event] = {}
        self._dismissed: list[Record] = []
        self.log = ServiceLog(installation)

    async def statuses(self) -> dict[str, InstanceStatus]:
        return {status.instance_id: status for status in await self._engine.statuses()}

    async def end_unknown(self) -> None:
        """End what runs without a row: its service was deleted while nobody owned the engine."""
        for instance_id in await self.statuses():
            if await service_instance.find(self._pool, UUID(instance_id)) is None:
                await self._engine.stop(instance_id, grace_seconds=GRACE_SECONDS)

    async def of_service(self, row: Record) -> list[Record]:
        """Those that are there to stay, with the columns of their targets that say what they run."""
        found = await service_instance.with_targets(self._pool, row["workspace_id"], row["id"])
        return [instance for instance in found if instance["id"] not in self._draining]

    async def insert(self, target: Record) -> Record:
        """A new instance of a target, which has no place yet."""
        async with self._pool.acquire() as connection:
            inserted = await service_instance.insert(
                connection, target["workspace_id"], target["service_id"], target["id"]
            )
        assert inserted is not None
        return inserted

    async def start(self, instance: Record, specification: InstanceSpecification) -> None:
        """Raises EngineError."""
        reason = None if instance["state"] == PENDING else instance["reason"]
        isolation = self._engine.description().isolation
        await self._note(
            instance,
            InstanceState.STARTING,
            reason=reason,
            attempts=instance["attempts"],
            isolation=isolation,
            event="SERVICE_INSTANCE_STARTING",
        )
        await self._engine.start(specification)

    async def note_waiting(self, instance: Record, reason: str) -> None:
        """It has no place yet."""
        if (instance["state"], instance["reason"]) != (PENDING, reason):
            await self._note(instance, PENDING, reason=reason, attempts=instance["attempts"])

    async def look(self, instance: Record, status: InstanceStatus) -> Seen:
        """What is to be said of an instance that the engine knows."""
        if status.state is InstanceState.EXITED:
            return await self._note_exit(instance, status)
        if status.state is InstanceState.READY and instance["state"] != InstanceState.READY:
            address = f"unix:{status.address}"
            await self._note(
                instance,
                InstanceState.READY,
                address=address,
                attempts=instance["attempts"],
                event="SERVICE_INSTANCE_READY",
            )
        return Seen(status.state, instance["reason"])

    async def note_failure(self, instance: Record, reason: str, *, event: str = "SERVICE_INSTANCE_DIED") -> Seen:
        """It ended, or could not be started: when it may be tried again is noted beside the reason."""
        attempts, at = next_attempt(instance, datetime.now(UTC))
        reason = printable(reason)[:REASON_LENGTH]
        await self._note(
            instance,
            InstanceState.EXITED,
            reason=reason,
            attempts=attempts,
            next_attempt_at=at,
            event=event,
        )
        return Seen(InstanceState.EXITED, reason)

    def dismiss(self, instances: Iterable[Record]) -> None:
        """Ask for the end of instances whose service goes on: who reconciles drains what is `dismissed`."""
        new = [instance for instance in instances if instance["id"] not in self._draining]
        self._draining.update((instance["id"], asyncio.Event()) for instance in new)
        self._dismissed += new

    def dismissed(self) -> list[Record]:
        """What is to be drained since this was last asked."""
        dismissed, self._dismissed = self._dismissed, []
        return dismissed

    async def drain(self, instance: Record) -> None:
        """Let an instance finish every prediction that it has, then end it."""
        try:
            # Even where it is not known to be ready: the owner before may have begun already.
            await self._end(instance, grace_seconds=self._drain_seconds)
        except Exception:  # whoever looks at its service next dismisses it again
            logger.exception("instance was not drained", instance_id=str(instance["id"]))
        finally:
            self._draining.pop(instance["id"]).set()

    async def end(self, instance: Record) -> None:
        """Take it out of the routes, let it finish, then forget it. One that is drained has ended once that is done."""
        drained = self._draining.get(instance["id"])
        if drained is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(drained.wait(), GRACE_SECONDS)
                return
        await self._end(instance)

    async def _end(self, instance: Record, *, grace_seconds: float | None = None) -> None:
        instance_id = str(instance["id"])
        current = await service_instance.find(self._pool, instance["id"])
        # Only one that is ready can have a prediction to finish.
        is_ready = current is not None and current["state"] == InstanceState.READY
        await self._note(instance, InstanceState.EXITED, attempts=instance["attempts"])
        if is_ready:
            await asyncio.sleep(ROUTES_SETTLE_SECONDS)
        usual = GRACE_SECONDS if is_ready else 0
        await self._engine.stop(instance_id, grace_seconds=usual if grace_seconds is None else grace_seconds)
        await self.log.collect([instance_id])
        await service_instance.delete(self._pool, instance["workspace_id"], instance["id"])
        await self.log.forget(instance_id)

    async def _note_exit(self, instance: Record, status: InstanceStatus) -> Seen:
        await self.log.collect([status.instance_id])
        seen = await self.note_failure(instance, reason_of(status))
        await self._engine.stop(status.instance_id, grace_seconds=0)
        return seen

    async def _note(
        self,
        instance: Record,
        state: str,
        *,
        attempts: int,
        address: str | None = None,
        reason: str | None = None,
        next_attempt_at: datetime | None = None,
        isolation: str | None = None,
        event: str | None = None,
    ) -> None:
        observed = service_instance.Observation(state, address, reason, next_attempt_at, attempts, isolation)
        async with transaction(self._pool, instance["workspace_id"], ACTOR) as unit:
            await service_instance.observe(unit.connection, unit.workspace_id, instance["id"], observed)
            await service.notify(unit.connection, instance["service_id"])
            if event is not None and instance["attempts"] <= TOLD_ATTEMPTS:
                unit.record(event, instance["service_id"], instance=instance["number"], message=reason)


def reason_of(status: InstanceStatus) -> str:
    """Why an instance ended, and the last lines that it printed."""
    reason = status.reason or f"The instance ended with exit code {status.exit_code}."
    # What it said of its failure itself is the reason already.
    lines = "\n".join(line for line in status.last_log if '"start_failed"' not in line)
    return f"{reason}\nIts last lines:\n{lines[-LINES_LENGTH:]}" if lines else reason


def is_due(instance: Record) -> bool:
    """Whether an instance that does not run may be started."""
    at: datetime | None = instance["next_attempt_at"]
    return at is None or at <= datetime.now(UTC)
