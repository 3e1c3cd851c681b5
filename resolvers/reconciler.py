"""Moves what an engine runs towards what services are wanted to be. Only the holder of the engine's lease does."""

import asyncio
import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from asyncpg import Record

from artifacts.object_store import StoreError
from artifacts.package_directory import ArtifactDrift
from db import lease, operation, service, service_instance
from db.connection import Connection
from db.failure import DATABASE_ERRORS
from db.listener import Listener
from engines.engine import EngineError, InstanceState, InstanceStatus, IsolationLevel
from resolvers.deployment_target import PreparedTarget, instance_specification, prepare
from resolvers.installation import Installation
from resolvers.instance_set import Seen, status_of
from resolvers.operation_attempt import drift_problem
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_instance import ServiceInstances, is_due
from resolvers.transaction import transaction

ROUND_SECONDS = 1.0
# In between, only services that are not yet what they should be are looked at.
FULL_ROUND = 30
LEASE_SECONDS = 10.0
CONCURRENT_PREPARATIONS = 4
ACTOR = "reconciler"
START_FAILURES = (EngineError, StoreError, ArtifactDrift)
logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """One service on its way to a desired state."""

    desired_state: str
    task: asyncio.Task[None]

    def is_superseded_by(self, desired_state: str) -> bool:
        """An end is never broken off: whatever is wanted now, it begins where the instances are gone."""
        return self.desired_state == ServiceDesiredState.RUNNING and desired_state != ServiceDesiredState.RUNNING


class Reconciler:
    """`holder` is who owns the engine, the same after a restart: its lease is then taken up at once."""

    def __init__(self, installation: Installation, listener: Listener, holder: UUID) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._engine = installation.engine
        self._listener = listener
        self._holder = holder
        self._instances = ServiceInstances(installation)
        self._steps: dict[UUID, Step] = {}
        self._passed_over: set[UUID] = set()
        self._prepared: dict[UUID, PreparedTarget] = {}
        self._preparations = asyncio.Semaphore(CONCURRENT_PREPARATIONS)

    async def run(self) -> None:
        """Reconcile until cancelled. Waits for the lease where another holder has it."""
        while not await lease.take(self._pool, self._engine.name, self._holder, LEASE_SECONDS):
            await asyncio.sleep(ROUND_SECONDS)
        try:
            await self._open()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew())
                group.create_task(self._rounds(group))
        finally:
            await asyncio.shield(self._let_go())

    async def _open(self) -> None:
        try:
            await self._engine.open()
        except (EngineError, OSError) as failure:
            await self._tell_all(f"The engine could not be opened: {failure}")
            raise
        await self._describe()
        await self._instances.end_unknown()
        await self._forget_packages()

    async def _tell_all(self, reason: str) -> None:
        """Nothing can run: say so where somebody waits for it."""
        for row in await service.reconciled(self._pool):
            if row["desired_state"] == ServiceDesiredState.RUNNING:
                await self._observe(row, service.Observation(ServiceStatus.FAILED, reason, 0.0))

    async def _describe(self) -> None:
        """Tell the other processes, and in the log, how package code is isolated here."""
        described = self._engine.description()
        await lease.describe(
            self._pool,
            described.name,
            self._holder,
            isolation=described.isolation,
            isolation_note=described.isolation_note,
        )
        tell = logger.warning if described.isolation is IsolationLevel.NONE else logger.info
        tell(described.isolation_note, engine=described.name, isolation=described.isolation)

    async def _forget_packages(self) -> None:
        """Remove the folders of packages that nobody needs any more: each can be laid out again."""
        packages = self._installation.packages
        if not await asyncio.to_thread(packages.is_dir):
            return
        # Listed before it is asked who needs them: a folder that appears meanwhile is somebody's.
        folders = await asyncio.to_thread(lambda: list(packages.iterdir()))
        needed = {str(version_id) for version_id in await service.laid_out_versions(self._pool)}
        for folder in folders:
            # A version's folder is filled beside its place, under a name that begins with a dot.
            if folder.name.lstrip(".").partition(".")[0] not in needed:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _let_go(self) -> None:
        await self._engine.close()
        await lease.release(self._pool, self._engine.name, self._holder)

    async def _renew(self) -> None:
        """While the database does not answer, nobody else can take the lease either."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            try:
                is_ours = await lease.take(self._pool, self._engine.name, self._holder, LEASE_SECONDS)
            except DATABASE_ERRORS as error:
                logger.warning("lease was not renewed", engine=self._engine.name, error=repr(error))
                continue
            if not is_ours:
                raise LeaseLost(self._engine.name)

    async def _rounds(self, group: asyncio.TaskGroup) -> None:
        with self._listener.subscription("modelyard_service") as asked:
            changed = group.create_task(self._engine.changed())
            asked.set()
            for number in itertools.count():
                is_full = asked.is_set() or changed.done() or number % FULL_ROUND == 0
                asked.clear()
                if changed.done():
                    changed = group.create_task(self._engine.changed())
                try:
                    await self._round(group, is_full=is_full)
                except Exception as error:  # a round that fails must not take what runs down with it
                    logger.warning("services were not reconciled", error=repr(error), exc_info=True)
                    await asyncio.sleep(ROUND_SECONDS)
                    asked.set()
                heard = group.create_task(asked.wait())
                await asyncio.wait({heard, changed}, timeout=ROUND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()

    async def _round(self, group: asyncio.TaskGroup, *, is_full: bool) -> None:
        # Before the engine is asked: a step that ends after that has changed what the engine said.
        self._steps = {key: step for key, step in self._steps.items() if not step.task.done()}
        statuses = await self._instances.statuses()
        await self._instances.log.collect(list(statuses))
        passed_over, self._passed_over = self._passed_over, set()
        for row in await service.reconciled(self._pool):
            if row["status"] == row["desired_state"] and not is_full and row["id"] not in passed_over:
                continue
            step = self._steps.get(row["id"])
            if step is None:
                task = group.create_task(self._reconcile(row, statuses))
                self._steps[row["id"]] = Step(row["desired_state"], task)
                continue
            self._passed_over.add(row["id"])
            if step.is_superseded_by(row["desired_state"]):
                step.task.cancel()

    async def _reconcile(self, row: Record, statuses: dict[str, InstanceStatus]) -> None:
        """One service, one step. A failure of one service is told there and leaves the others alone."""
        try:
            if row["desired_state"] == ServiceDesiredState.RUNNING:
                await self._keep_running(row, statuses)
            else:
                await self._bring_to_rest(row)
        except Exception:
            logger.exception("service was not reconciled", service_id=str(row["id"]))
            await asyncio.sleep(ROUND_SECONDS)

    async def _keep_running(self, row: Record, statuses: dict[str, InstanceStatus]) -> None:
        seen: list[Seen] = []
        kept: set[UUID] = set()
        for target in await service.targets(self._pool, row["workspace_id"], row["id"]):
            instances = await self._instances.of_target(target)
            kept.update(instance["id"] for instance in instances)
            seen += await self._keep_target(row, target, instances, statuses)
        for instance in await service_instance.of_service(self._pool, row["workspace_id"], row["id"]):
            if instance["id"] not in kept:
                await self._instances.end(instance)
        problem = next((instance.problem for instance in seen if instance.problem), None)
        await self._observe(row, status_of(row["status"], seen, wanted=len(seen)), problem)

    async def _keep_target(
        self, row: Record, target: Record, instances: Sequence[Record], statuses: dict[str, InstanceStatus]
    ) -> list[Seen]:
        seen, due = [], []
        for instance in instances:
            status = statuses.get(str(instance["id"]))
            if status is not None:
                seen.append(await self._instances.look(instance, status))
            elif is_due(instance):
                due.append(instance)
            else:
                seen.append(Seen(InstanceState.EXITED, instance["reason"]))
        return seen + await self._start(row, target, due)

    async def _start(self, row: Record, target: Record, due: Sequence[Record]) -> list[Seen]:
        """Start instances of a target, up to the first that cannot be: the rest would meet with the same."""
        seen: list[Seen] = []
        try:
            for instance in due:
                prepared = await self._prepare(row, target)
                await self._instances.start(instance, instance_specification(self._installation, prepared, instance))
                seen.append(Seen(InstanceState.STARTING, instance["reason"]))
        except START_FAILURES as failure:
            self._prepared.pop(target["id"], None)
            problem = drift_problem(failure) if isinstance(failure, ArtifactDrift) else None
            for instance in due[len(seen) :]:
                noted = await self._instances.note_failure(instance, str(failure))
                seen.append(replace(noted, problem=problem))
        return seen

    async def _prepare(self, row: Record, target: Record) -> PreparedTarget:
        if target["id"] in self._prepared:
            return self._prepared[target["id"]]
        async with self._preparations:
            await operation.advance_subject(self._pool, row["workspace_id"], row["id"], "PREPARING", None)
            prepared = await prepare(self._installation, target)
        self._prepared[target["id"]] = prepared
        await operation.advance_subject(self._pool, row["workspace_id"], row["id"], "STARTING", None)
        return prepared

    async def _bring_to_rest(self, row: Record) -> None:
        instances = await service_instance.of_service(self._pool, row["workspace_id"], row["id"])
        async with asyncio.TaskGroup() as group:
            for instance in instances:
                group.create_task(self._instances.end(instance))
        for target in await service.targets(self._pool, row["workspace_id"], row["id"]):
            self._prepared.pop(target["id"], None)
        is_deleted = row["desired_state"] == ServiceDesiredState.DELETED
        status = ServiceStatus.DELETING if is_deleted else ServiceStatus.STOPPED
        await self._observe(row, service.Observation(status, None, None, is_deleted))

    async def _observe(
        self, row: Record, observed: service.Observation, problem: Mapping[str, object] | None = None
    ) -> None:
        """Write the status down where it differs, unless something else was asked of the service by now."""
        if (row["status"], row["status_message"]) == (
            observed.status,
            observed.status_message,
        ) and not observed.is_deleted:
            return
        async with transaction(self._pool, row["workspace_id"], ACTOR) as unit:
            current = await service.lock(unit.connection, row["workspace_id"], row["id"])
            if current is None or current["revision"] != row["revision"] or current["deleted_at"]:
                return
            await service.observe(unit.connection, row["workspace_id"], row["id"], observed)
            await self._end_operation(unit.connection, row, observed, problem)
            if observed.status != current["status"] or observed.is_deleted:
                kind = "SERVICE_DELETED" if observed.is_deleted else f"SERVICE_{observed.status}"
                unit.record(kind, row["id"], message=observed.status_message)
            await service.notify(unit.connection, row["id"])

    async def _end_operation(
        self,
        connection: Connection,
        row: Record,
        observed: service.Observation,
        problem: Mapping[str, object] | None,
    ) -> None:
        if observed.status == ServiceStatus.DEPLOYING:
            return
        error: dict[str, object] | None = None
        if observed.status in (ServiceStatus.FAILED, ServiceStatus.CONCERNING):
            error = dict(problem or {"code": "SERVICE_NOT_RUNNING", "message": observed.status_message})
        state = "FAILED" if error else "SUCCEEDED"
        await operation.finish_subject(connection, row["workspace_id"], row["id"], state, error)


class LeaseLost(Exception):
    """Another process owns the engine now; this one must not touch its instances any more."""
