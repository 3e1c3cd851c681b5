"""Moves what an engine runs towards what services are wanted to be. Only the holder of the engine's lease does."""

import asyncio
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog
from asyncpg import Record

from db import lease, service
from db.failure import DATABASE_ERRORS
from db.listener import Listener
from engines.engine import EngineError, InstanceStatus, IsolationLevel
from resolvers import resource_pool
from resolvers.agenda import Agenda, Scope
from resolvers.batch_keeper import BatchKeeper
from resolvers.deployment_type import DeploymentType
from resolvers.edge_keeper import EdgeKeeper
from resolvers.installation import Installation
from resolvers.preparation import Preparations
from resolvers.real_time_keeper import RealTimeKeeper
from resolvers.service import ServiceDesiredState, ServiceStatus
from resolvers.service_instance import ServiceInstances
from resolvers.service_observation import observe
from resolvers.target_instances import TargetInstances

RETRY_SECONDS = 1.0
LEASE_SECONDS = 10.0
logger = structlog.get_logger()


class Keeper(Protocol):
    """What services of one type need: a step towards what is wanted of one, taken again until it is so.

    `row` is one of `db.service`; `statuses` is what the engine says of its instances, by their ids. Steps of one
    service never overlap; one that keeps it running is cancelled when the service is to stop or to end.
    """

    async def keep(self, row: Record, statuses: Mapping[str, InstanceStatus]) -> None:
        """The service is to run."""

    async def rest(self, row: Record) -> None:
        """The service is to stop, or to end."""


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
        self._preparations = Preparations(installation)
        targets = TargetInstances(installation, self._instances, self._preparations)
        self._batches = BatchKeeper(installation, self._instances, targets)
        self._keepers: dict[DeploymentType, Keeper] = {
            DeploymentType.REAL_TIME: RealTimeKeeper(installation, self._instances, targets),
            DeploymentType.BATCH: self._batches,
            DeploymentType.EDGE: EdgeKeeper(installation),
        }
        self._steps: dict[UUID, Step] = {}
        self._agenda = Agenda(self._pool)

    async def run(self) -> None:
        """Reconcile until cancelled. Waits for the lease where another holder has it."""
        while not await lease.take(self._pool, self._engine.name, self._holder, LEASE_SECONDS):
            await asyncio.sleep(RETRY_SECONDS)
        try:
            await self._open()
            async with asyncio.TaskGroup() as group:
                self._preparations.open(group)
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
            is_run_here = row["deployment_type"] != DeploymentType.EDGE
            if is_run_here and row["desired_state"] == ServiceDesiredState.RUNNING:
                await observe(self._pool, row, service.Observation(ServiceStatus.FAILED, reason, 0.0))

    async def _describe(self) -> None:
        """Tell the other processes, and in the log, how package code is isolated here, and what the host has."""
        await resource_pool.settle(self._installation)
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
        with self._listener.subscription("modelyard_service") as notified:
            changed = group.create_task(self._engine.changed())
            while True:
                if changed.done():
                    changed = group.create_task(self._engine.changed())
                try:
                    await self._round(group, notified.take())
                except Exception as error:  # a round that fails must not take what runs down with it
                    logger.warning("services were not reconciled", error=repr(error), exc_info=True)
                    self._agenda.doubt()
                    await asyncio.sleep(RETRY_SECONDS)
                for instance in self._instances.dismissed():
                    group.create_task(self._instances.drain(instance))
                for drive in self._batches.begun():
                    group.create_task(drive.run())
                heard = group.create_task(notified.wait())
                seconds = self._agenda.seconds_left()
                await asyncio.wait({heard, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()

    async def _round(self, group: asyncio.TaskGroup, heard: Collection[str] | None) -> None:
        """`heard` are the ids of services that changed; None where some may have been missed."""
        # Before the engine is asked: a step that ends after that has changed what the engine said.
        self._steps = {key: step for key, step in self._steps.items() if not step.task.done()}
        scope = self._agenda.scope(is_deaf=heard is None)
        statuses = await self._instances.statuses()
        changed = self._agenda.changed(statuses)
        # Before it is said to be ready, what an instance printed until then.
        told = changed & statuses.keys() if scope is Scope.NONE else statuses.keys()
        await self._instances.log.collect(list(told))
        for row in await self._agenda.rows(scope, heard or (), changed, self._steps.keys()):
            if DeploymentType(row["deployment_type"]) not in self._keepers:
                continue
            step = self._steps.get(row["id"])
            if step is None:
                task = group.create_task(self._reconcile(row, statuses))
                self._steps[row["id"]] = Step(row["desired_state"], task)
                continue
            self._agenda.postpone(row["id"])
            if step.is_superseded_by(row["desired_state"]):
                step.task.cancel()

    async def _reconcile(self, row: Record, statuses: dict[str, InstanceStatus]) -> None:
        """One service, one step. A failure of one service is told there and leaves the others alone."""
        try:
            keeper = self._keepers[DeploymentType(row["deployment_type"])]
            if row["desired_state"] == ServiceDesiredState.RUNNING:
                await keeper.keep(row, statuses)
            else:
                await keeper.rest(row)
        except Exception:
            logger.exception("service was not reconciled", service_id=str(row["id"]))
            await asyncio.sleep(RETRY_SECONDS)
            self._agenda.postpone(row["id"])


class LeaseLost(Exception):
    """Another process owns the engine now; this one must not touch its instances any more."""
