"""Preparations of services' targets: a task for each, so that no step of a service waits for one."""

import asyncio
from collections.abc import Collection
from functools import partial
from uuid import UUID

import structlog
from asyncpg import Record

from artifacts.object_store import StoreError
from artifacts.package_directory import ArtifactDrift
from db import operation, service
from engines.engine import EngineError
from resolvers.deployment_target import PreparedTarget, prepare
from resolvers.installation import Installation
from resolvers.transaction import transaction

CONCURRENT_PREPARATIONS = 4
START_FAILURES = (EngineError, StoreError, ArtifactDrift)
ACTOR = "reconciler"
# None where it broke off for a reason that is not the target's.
Outcome = PreparedTarget | EngineError | StoreError | ArtifactDrift | None
logger = structlog.get_logger()


class Preparations:
    """For the owner of the engine alone. Targets are rows of `db.service_configuration`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._pool = installation.pool
        self._slots = asyncio.Semaphore(CONCURRENT_PREPARATIONS)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[UUID, dict[UUID, asyncio.Task[Outcome]]] = {}

    def open(self, group: asyncio.TaskGroup) -> None:
        """Their tasks are a group's from now on."""
        self._group = group

    def prepared(self, target: Record) -> PreparedTarget | None:
        """What a target needs; None until it is ready, which begins when it is first asked for.

        Raises those of START_FAILURES.
        """
        tasks = self._tasks.setdefault(target["service_id"], {})
        task = tasks.get(target["id"])
        outcome = task.result() if task and task.done() and not task.cancelled() else None
        if isinstance(outcome, START_FAILURES):
            raise outcome
        if outcome is None and (task is None or task.done()):
            assert self._group is not None
            tasks[target["id"]] = self._group.create_task(self._run(target))
        return outcome

    def discard(self, target: Record) -> None:
        """Look anew, before the next start, at what a target needs."""
        self._tasks.get(target["service_id"], {}).pop(target["id"], None)

    async def forget(self, service_id: UUID, *, kept: Collection[UUID] = ()) -> None:
        """The same of a service's targets but those that are kept; what is under way for the others is broken off."""
        tasks = self._tasks.pop(service_id, {})
        if kept:
            self._tasks[service_id] = {key: task for key, task in tasks.items() if key in kept}
        broken_off = [task for key, task in tasks.items() if key not in kept and task.cancel()]
        if broken_off:
            await asyncio.wait(broken_off)

    async def tell(self, target: Record, event: str, **data: object) -> None:
        """Note an event of a target's service."""
        async with transaction(self._pool, target["workspace_id"], ACTOR) as unit:
            unit.record(event, target["service_id"], **data)

    async def _run(self, target: Record) -> Outcome:
        try:
            outcome = await self._outcome(target)
            await service.notify(self._pool, target["service_id"])
        except Exception:  # the next step of the service begins it again
            logger.exception("target was not prepared", service_id=str(target["service_id"]))
            return None
        return outcome

    async def _outcome(self, target: Record) -> Outcome:
        subject = (target["workspace_id"], target["service_id"])
        try:
            async with self._slots:
                await operation.advance_subject(self._pool, *subject, "PREPARING", None)
                prepared = await prepare(self._installation, target, partial(self._tell_step, target))
        except START_FAILURES as failure:
            return failure
        await operation.advance_subject(self._pool, *subject, "STARTING", None)
        return prepared

    async def _tell_step(self, target: Record, event: str, version: Record) -> None:
        await self.tell(target, event, model=version["model_name"], version=version["version"])
