"""The engine of one host: every instance is a child process, in a sandbox, with an environment of its own."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path

from engines.control_group import ControlGroup, delegated_group
from engines.engine import (
    Capability,
    EngineDescription,
    EngineError,
    EnvironmentSpecification,
    InstanceSpecification,
    InstanceState,
    InstanceStatus,
)
from engines.environment import EnvironmentStore
from engines.installation import Installation, prepare
from engines.instance_directory import InstanceDirectory, InstanceRecord, create_directory, read_record
from engines.instance_launch import confinement_of, limits
from engines.instance_log import InstanceLog
from engines.isolation import Confinement, Isolation, choose, launch_plan
from engines.launcher import Plan
from engines.local_instance import LocalInstance, send_plan, spawn
from engines.package_source import PackageSource, base_interpreter
from engines.user_claim import UserClaim, UserRange, claim, reclaim

INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
CAPABILITIES = frozenset({Capability.REAL_TIME, Capability.BATCH})
CLOSE_GRACE_SECONDS = 10.0


class LocalEngine:
    """Runs instances below `data_directory`, which one process at a time may own, and which it closes to others.

    `runtime_directory` holds serve.py and requirements.txt. With `die_with_parent` instances end with this process
    however it ends (`start` must be called by a thread that lives till then); else the next engine takes them over.
    """

    name = "local"

    def __init__(
        self,
        *,
        data_directory: Path,
        runtime_directory: Path,
        package_source: PackageSource,
        isolation: str = "auto",
        die_with_parent: bool,
        start_timeout_seconds: float = 120,
        users: UserRange | None = None,
    ) -> None:
        self._data = data_directory.resolve()
        self._runtime_source = runtime_directory.resolve()
        self._environments = EnvironmentStore(
            self._data / "environments", self._runtime_source / "requirements.txt", package_source
        )
        self._requested_isolation = isolation
        self._die_with_parent = die_with_parent
        self._start_timeout_seconds = start_timeout_seconds
        self._users = users or UserRange()
        self._instances: dict[str, LocalInstance] = {}
        self._changed = asyncio.Event()
        self._isolation: Isolation | None = None
        self._installation: Installation | None = None
        self._groups: Path | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        return CAPABILITIES

    def description(self) -> EngineDescription:
        """What it can do. Raises EngineError before `open`."""
        isolation = self._active_isolation()
        limited = "Memory and processor time are limited."
        note = limited if self._groups is not None else "Memory and processor time are not limited on this host."
        return EngineDescription(self.name, CAPABILITIES, isolation.level, f"{isolation.note} {note}")

    async def open(self) -> None:
        """Chooses the isolation and takes over, or clears away, what an earlier owner left. Raises EngineError."""
        self._installation = await asyncio.to_thread(prepare, self._data, self._runtime_source)
        self._groups = await asyncio.to_thread(delegated_group)
        self._isolation = await self._choose_isolation()
        for folder in sorted(self._installation.instances.iterdir()):
            await self._recover(folder)

    async def close(self) -> None:
        """Ends its instances, or leaves them to the next engine where they do not die with this process."""
        async with asyncio.TaskGroup() as group:
            for instance in list(self._instances.values()):
                group.create_task(self._let_go(instance))
        self._instances.clear()

    async def build(
        self, environment: EnvironmentSpecification, *, log: Callable[[str], None], timeout_seconds: float
    ) -> None:
        """See Engine.build."""
        await self._environments.build(environment, log=log, timeout_seconds=timeout_seconds)

    async def is_built(self, environment: EnvironmentSpecification) -> bool:
        """See Engine.is_built."""
        return await self._environments.is_built(environment)

    async def discard_environments(self, *, kept: Collection[str], older_than: timedelta) -> list[str]:
        """See Engine.discard_environments."""
        used = {instance.record.environment for instance in self._instances.values()}
        return await self._environments.discard(kept=kept, used=used, older_than=older_than)

    async def start(self, instance: InstanceSpecification) -> None:
        """See Engine.start. Raises EngineError also when the environment is not built, or the instance runs already."""
        self._check_start(instance)
        if not await self.is_built(instance.environment):
            raise EngineError("The environment of the instance is not built.")
        await self.stop(instance.instance_id, grace_seconds=0)
        environment = await asyncio.to_thread(self._environments.folder, instance.environment)
        user = await asyncio.to_thread(self._claim_user, instance.instance_id)
        try:
            directory, plan = await asyncio.to_thread(self._prepare_start, instance, environment, user)
            writing = self._launch(instance, directory, environment, user)
        except BaseException:
            if user is not None:
                user.release()
            raise
        await asyncio.to_thread(send_plan, writing, plan)

    async def stop(self, instance_id: str, *, grace_seconds: float) -> None:
        """See Engine.stop. Its log stays readable for a week."""
        instance = self._instances.get(instance_id)
        if instance is None:
            return
        await instance.end(grace_seconds)
        await asyncio.to_thread(instance.directory.remove)
        if self._instances.get(instance_id) is instance:
            del self._instances[instance_id]

    async def statuses(self) -> list[InstanceStatus]:
        """See Engine.statuses."""
        instances = list(self._instances.values())
        return await asyncio.to_thread(lambda: [instance.status() for instance in instances])

    def read_log(self, instance_id: str, *, offset_bytes: int) -> tuple[list[str], int]:
        """See Engine.read_log. At most 1 MiB at a time; an offset past the end begins at the start again."""
        return self._log(instance_id).read(offset_bytes)

    async def changed(self) -> None:
        """See Engine.changed."""
        await self._changed.wait()
        self._changed.clear()

    async def _let_go(self, instance: LocalInstance) -> None:
        if self._die_with_parent:
            # Only one that is ready can have a prediction to finish.
            grace_seconds = CLOSE_GRACE_SECONDS if instance.state is InstanceState.READY else 0
            await self.stop(instance.record.instance_id, grace_seconds=grace_seconds)
        else:
            await instance.detach()

    async def _choose_isolation(self) -> Isolation:
        trial = await asyncio.to_thread(claim, self._users, "trial") if os.geteuid() == 0 else None
        try:
            return await choose(self._requested_isolation, self._trial(trial))
        finally:
            if trial is not None:
                trial.release()

    def _trial(self, user: UserClaim | None) -> Confinement:
        user_id = None if user is None else user.user_id
        return Confinement(
            arguments=(base_interpreter(), "-I", "-c", "import ssl, ctypes, multiprocessing.synchronize"),
            environment={},
            directory=self._opened().runtime,
            readable=(self._opened().runtime,),
            writable=(),
            hidden=self._data,
            user_id=user_id,
            limits=limits(counts_processes=user_id is not None),
            parent_pid=os.getpid(),
        )

    async def _recover(self, folder: Path) -> None:
        found = await asyncio.to_thread(read_record, folder)
        if found is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return
        directory, record = found
        user = None
        if record.user_id is not None:
            user = await asyncio.to_thread(reclaim, record.user_id, record.holder)
        instance = self._follow(directory, record, user)
        if instance.state is InstanceState.EXITED:
            await instance.clear_away(session=None)
        if self._die_with_parent:
            await self.stop(record.instance_id, grace_seconds=0)

    def _check_start(self, instance: InstanceSpecification) -> None:
        if not INSTANCE_ID.fullmatch(instance.instance_id):
            raise EngineError(f"{instance.instance_id!r} cannot be the name of an instance.")
        present = self._instances.get(instance.instance_id)
        if present is not None and present.state is not InstanceState.EXITED:
            raise EngineError(f"The instance {instance.instance_id} runs already.")

    def _claim_user(self, instance_id: str) -> UserClaim | None:
        return claim(self._users, self._opened().holder(instance_id)) if self._active_isolation().needs_user else None

    def _prepare_start(
        self, instance: InstanceSpecification, environment: Path, user: UserClaim | None
    ) -> tuple[InstanceDirectory, Plan]:
        user_id = None if user is None else user.user_id
        folder = self._opened().instances / instance.instance_id
        group = self._group(instance.instance_id)
        if group is not None:
            group.create(memory_bytes=instance.memory_bytes, cpu_count=instance.cpu_count)
        directory = create_directory(folder, apis=instance.apis, user_id=user_id)
        confinement = confinement_of(
            instance,
            isolation=self._active_isolation(),
            directory=directory,
            environment=environment,
            installation=self._opened(),
            serving=self._environments.serving_folder(),
            user_id=user_id,
            dies_with_parent=self._die_with_parent,
        )
        return directory, launch_plan(self._active_isolation(), confinement)

    def _launch(
        self, instance: InstanceSpecification, directory: InstanceDirectory, environment: Path, user: UserClaim | None
    ) -> int:
        """Starts the instance's launcher and returns the descriptor at which it waits for its plan."""
        log = self._log(instance.instance_id)
        log_offset_bytes = log.size()
        descriptor = log.open()
        try:
            with directory.bind() as listener:
                process, writing = spawn(descriptor, listener.fileno())
        finally:
            os.close(descriptor)
        record = InstanceRecord(
            instance_id=instance.instance_id,
            service_id=instance.service_id,
            level=self._active_isolation().level,
            user_id=None if user is None else user.user_id,
            holder=self._opened().holder(instance.instance_id),
            socket_directory=str(directory.socket_directory),
            process=process,
            log_offset_bytes=log_offset_bytes,
            environment=environment.name,
        )
        # Recorded before it is told what to run: no crash of ours leaves a process that nobody knows.
        try:
            directory.write_record(record)
            if (group := self._group(instance.instance_id)) is not None:
                group.place(process.pid)
        except OSError as error:
            os.close(writing)
            os.waitpid(process.pid, 0)
            raise EngineError(f"The instance could not be started: {error}.") from error
        self._follow(directory, record, user)
        return writing

    def _follow(self, directory: InstanceDirectory, record: InstanceRecord, user: UserClaim | None) -> LocalInstance:
        instance = LocalInstance(
            directory=directory,
            log=self._log(record.instance_id),
            record=record,
            claim=user,
            group=self._group(record.instance_id),
            notify=self._changed.set,
        )
        self._instances[record.instance_id] = instance
        instance.watch(self._start_timeout_seconds)
        return instance

    def _group(self, instance_id: str) -> ControlGroup | None:
        return None if self._groups is None else ControlGroup(self._groups / f"instance-{instance_id}")

    def _log(self, instance_id: str) -> InstanceLog:
        if not INSTANCE_ID.fullmatch(instance_id):
            raise EngineError(f"{instance_id!r} cannot be the name of an instance.")
        return self._opened().log(instance_id)

    def _active_isolation(self) -> Isolation:
        if self._isolation is None:
            raise EngineError("The local engine is not open.")
        return self._isolation

    def _opened(self) -> Installation:
        if self._installation is None:
            raise EngineError("The local engine is not open.")
        return self._installation
