"""Keeps batch services: the instances of a run while it lasts, and the service's status by both."""

from collections.abc import Mapping
from uuid import UUID

from asyncpg import Record

from db import batch_configuration, batch_input, batch_row, batch_run, service, service_configuration
from engines.engine import InstanceStatus
from resolvers.adoption import assign
from resolvers.batch_dispatch import ATTEMPTS
from resolvers.batch_memory import BatchMemory
from resolvers.batch_run import BatchDrive, failures_told
from resolvers.installation import Installation
from resolvers.instance_set import Seen, status_of
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_instance import ServiceInstances
from resolvers.service_observation import ACTOR, lock_unchanged, note, observe
from resolvers.target_instances import TargetInstances
from resolvers.transaction import transaction

UNDER_WAY = frozenset({"LISTING", "RUNNING"})
HAVE_ANSWERED = frozenset({ServiceStatus.RUNNING, ServiceStatus.CONCERNING})
# An input may end its instance as often as it is asked. What ends more often than that cannot be started.
PATIENCE = ATTEMPTS + 2


class BatchKeeper:
    """A run is driven by a task of its own: who reconciles starts what has `begun`."""

    def __init__(self, installation: Installation, instances: ServiceInstances, targets: TargetInstances) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._instances = instances
        self._targets = targets
        self._memory = BatchMemory.of(installation.rules.prediction_max_body_bytes)
        self._drives: dict[UUID, BatchDrive] = {}
        self._begun: list[BatchDrive] = []

    def begun(self) -> list[BatchDrive]:
        """The drives that are to be run since this was last asked."""
        begun, self._begun = self._begun, []
        return begun

    async def keep(self, row: Record, statuses: Mapping[str, InstanceStatus]) -> None:
        """See `resolvers.reconciler.Keeper`."""
        run = await self._run(row)
        if run is None:
            return
        if run["state"] not in UNDER_WAY:
            await self._conclude(row, run)
            return
        drive = await self._drive(run)
        if run["state"] == "LISTING":
            await self._observe(row, ServiceStatus.DEPLOYING, drive.wait_reason or "The inputs are being listed.", 0.0)
            return
        await self._keep_instances(row, run, drive, statuses)

    async def rest(self, row: Record) -> None:
        """See `resolvers.reconciler.Keeper`."""
        await self._let_go(row["id"])
        await self._targets.rest(row)
        is_deleted = row["desired_state"] == ServiceDesiredState.DELETED
        if is_deleted:
            async with self._pool.acquire() as connection, connection.transaction():
                await batch_row.delete_of_service(connection, row["workspace_id"], row["id"])
                await batch_input.delete_of_service(connection, row["workspace_id"], row["id"])
        status = ServiceStatus.DELETING if is_deleted else ServiceStatus.STOPPED
        run = await batch_run.newest(self._pool, row["workspace_id"], row["id"])
        progress = None if is_deleted or run is None else _progress(run)
        await observe(self._pool, row, service.Observation(status, None, progress, is_deleted))

    async def _run(self, row: Record) -> Record | None:
        """The run that the service is at, a new one where another is wanted; None where there is nothing to do."""
        identity = (row["workspace_id"], row["id"])
        run = await batch_run.newest(self._pool, *identity)
        configuration = await batch_configuration.wanted(self._pool, *identity)
        assert configuration is not None
        if run is not None:
            is_wanted = run["service_configuration_id"] == configuration["service_configuration_id"]
            if is_wanted and not run["is_reported"]:
                return run
            if run["is_reported"] and row["status"] in (ServiceStatus.FAILED, ServiceStatus.FINISHED):
                return None
        await self._let_go(row["id"])
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            if await lock_unchanged(unit, row) is None:
                return None
            await batch_run.abandon(unit.connection, *identity)
            return await batch_run.insert(unit.connection, *identity, configuration["service_configuration_id"])

    async def _drive(self, run: Record) -> BatchDrive:
        drive = self._drives.get(run["service_id"])
        if drive is None or drive.run_id != run["id"] or drive.is_over:
            await self._let_go(run["service_id"])
            drive = self._drives[run["service_id"]] = BatchDrive(self._installation, run, self._memory)
            self._begun.append(drive)
        return drive

    async def _let_go(self, service_id: UUID) -> None:
        drive = self._drives.pop(service_id, None)
        if drive is not None:
            await drive.let_go()

    async def _keep_instances(
        self, row: Record, run: Record, drive: BatchDrive, statuses: Mapping[str, InstanceStatus]
    ) -> None:
        number = row["last_configuration_number"]
        targets = await service_configuration.targets(self._pool, row["workspace_id"], row["id"], [number])
        instances = await self._instances.of_service(row)
        seen: dict[UUID, Seen] = {}
        attempts = max((instance["attempts"] for instance in instances), default=1)
        for target, found in zip(targets, assign(targets, instances).values(), strict=True):
            complete = await self._targets.complete(target, found)
            seen |= await self._targets.keep(target, complete, statuses)
        self._instances.dismiss(instance for instance in instances if instance["id"] not in seen)
        observed = status_of(row, list(seen.values()))
        status, message = ServiceStatus(observed.status), observed.status_message
        if status is ServiceStatus.FAILED and row["status"] in HAVE_ANSWERED and attempts <= PATIENCE:
            status = ServiceStatus.CONCERNING
        if status is ServiceStatus.RUNNING and drive.wait_reason:
            status, message = ServiceStatus.CONCERNING, drive.wait_reason
        problem = next((each.problem for each in seen.values() if each.problem), None)
        await self._observe(row, status, message, _progress(run), problem)

    async def _observe(
        self,
        row: Record,
        status: ServiceStatus,
        message: str | None,
        progress: float,
        problem: Mapping[str, object] | None = None,
    ) -> None:
        """Write the status down where it differs. Its operation lasts as long as the run does."""
        if (row["status"], row["status_message"]) == (status, message):
            return
        observed = service.Observation(status, message, progress)
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await lock_unchanged(unit, row)
            if current is None:
                return
            if status is ServiceStatus.FAILED:
                await note(unit, current, observed, problem)
                return
            await service.observe(unit.connection, row["workspace_id"], row["id"], observed)
            if status is ServiceStatus.RUNNING:
                number = row["last_configuration_number"]
                await service_configuration.succeed(unit.connection, row["workspace_id"], row["id"], number)
            if status != current["status"]:
                unit.record(f"SERVICE_{status}", row["id"], message=message)
            await service.notify(unit.connection, row["id"])

    async def _conclude(self, row: Record, run: Record) -> None:
        """The run has ended: so do the instances, and then the service says so."""
        await self._let_go(row["id"])
        await self._targets.rest(row)
        status = ServiceStatus.FINISHED if run["state"] == "FINISHED" else ServiceStatus.FAILED
        message = run["error"]["message"] if run["error"] else None
        if message is None and run["failed_count"]:
            message = failures_told(run)
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await lock_unchanged(unit, row)
            if current is None:
                return
            await batch_run.report(unit.connection, row["workspace_id"], run["id"])
            await note(unit, current, service.Observation(status, message, _progress(run)), run["error"])


def _progress(run: Record) -> float:
    """The share of inputs that have ended."""
    ended: int = run["succeeded_count"] + run["failed_count"]
    inputs: int = run["input_count"]
    return ended / max(1, inputs)
