"""One instance of a service's version, brought up and kept up: prepared, started, and started again when it ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from edge.desired import Desired
from edge.package_store import ArtifactDrift, PackageStore
from edge.server_link import ServerUnreachable, TokenRefused
from edge.service_log import ServiceLog
from engines.engine import Engine, EngineError, InstanceState, InstanceStatus
from engines.restart_wait import SETTLED_SECONDS, restart_wait_seconds

GRACE_SECONDS = 10.0
SHOWN_LENGTH = 500
# How the runtime tells of an instance's life, among the lines that the package prints.
EVENT, STATED_FAILURE = '{"event": ', '"start_failed"'
FAILURES = (EngineError, ArtifactDrift, ServerUnreachable, TokenRefused, OSError)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What replicas are made with; `tools` are seen to before an environment is built, by few at a time.

    `wake` is called when there is something to go on with that no engine tells of.
    """

    engine: Engine
    packages: PackageStore
    tools: Callable[[], Awaitable[None]]
    builds: asyncio.Semaphore
    log: Callable[[str], None]
    wake: Callable[[], None]


@dataclass(slots=True)
class Replica:
    """`reason` says why it is not up, and stays until it is. Times are of the monotonic clock."""

    workshop: Workshop
    lines: ServiceLog
    desired: Desired
    reason: str | None = None
    attempts: int = 0
    next_attempt: float = 0.0
    ready_since: float | None = None
    instance_id: str | None = None
    address: str | None = None
    preparing: asyncio.Task[Path] | None = field(default=None)

    @property
    def is_ready(self) -> bool:
        return self.address is not None

    @property
    def state(self) -> str:
        """As the server knows states of deployments, but for STOPPED."""
        if self.is_ready:
            return "RUNNING"
        if self.reason is not None:
            return "FAILED"
        if self.instance_id is not None:
            return "NOT_READY"
        return "PENDING" if self.preparing is None else "PREPARING"

    async def advance(self, statuses: dict[str, InstanceStatus]) -> None:
        """One step on the way up; failures are noted and tried again later."""
        try:
            if self.instance_id is not None:
                await self._look(statuses.get(self.instance_id))
            elif self.preparing is not None:
                await self._start_when_prepared(self.preparing)
            elif time.monotonic() >= self.next_attempt:
                self.preparing = asyncio.create_task(self._prepare())
                self.preparing.add_done_callback(lambda _: self.workshop.wake())
        except FAILURES as failure:
            self._fail(str(failure) or repr(failure))

    def hurry(self) -> None:
        """What it waits for may be there again."""
        self.next_attempt = 0.0

    def read_log(self) -> None:
        if self.instance_id is not None:
            engine = self.workshop.engine
            self.lines.read(
                lambda name, offset: engine.read_log(name, offset_bytes=offset),
                self.instance_id,
                self.desired.model_version_id,
            )

    async def drain(self) -> None:
        """Let it finish every prediction that it has begun, then end it: at once when cancelled."""
        self.address = None
        try:
            await self._end_instance(max(GRACE_SECONDS, self.desired.timeout_seconds))
        except asyncio.CancelledError:
            await self._end_instance(0.0)
            raise
        except FAILURES as failure:
            self.workshop.log(f"{self.desired.service_name}: an instance could not be ended: {failure!r}")

    async def end(self) -> None:
        """Let it finish what it has begun, then end it."""
        if self.preparing is not None:
            self.preparing.cancel()
            await asyncio.wait({self.preparing})
            self.preparing = None
        grace_seconds = GRACE_SECONDS if self.is_ready else 0.0
        self.address = None
        await self._end_instance(grace_seconds)

    async def _look(self, status: InstanceStatus | None) -> None:
        if status is None or status.state is InstanceState.EXITED:
            reason = "The instance is gone." if status is None else _reason(status)
            self._note_end()
            await self._end_instance(0.0)
            self._fail(reason)
        elif status.state is InstanceState.READY and self.address is None:
            self.address, self.reason, self.ready_since = status.address, None, time.monotonic()

    async def _start_when_prepared(self, preparing: "asyncio.Task[Path]") -> None:
        if not preparing.done():
            return
        self.preparing = None
        package = preparing.result()
        instance_id = str(uuid4())
        await self.workshop.engine.start(self.desired.instance_specification(instance_id, package))
        self.instance_id = instance_id

    async def _prepare(self) -> Path:
        package = await self.workshop.packages.lay_out(self.desired.model_version_id)
        environment = await asyncio.to_thread(self.desired.environment_specification, package)
        engine = self.workshop.engine
        if not await engine.is_built(environment):
            async with self.workshop.builds:
                await self.workshop.tools()
                await engine.build(
                    environment, log=self.workshop.log, timeout_seconds=self.desired.build_timeout_seconds
                )
        return package

    async def _end_instance(self, grace_seconds: float) -> None:
        if self.instance_id is None:
            return
        await self.workshop.engine.stop(self.instance_id, grace_seconds=grace_seconds)
        self.read_log()
        self.lines.forget(self.instance_id)
        self.instance_id = None

    def _note_end(self) -> None:
        if self.ready_since is not None and time.monotonic() - self.ready_since >= SETTLED_SECONDS:
            self.attempts = 0
        self.address = self.ready_since = None

    def _fail(self, reason: str) -> None:
        self.reason = reason
        self.attempts += 1
        seconds = restart_wait_seconds(self.attempts)
        self.next_attempt = time.monotonic() + seconds
        self.workshop.log(f"{self.desired.service_name}: {reason} It is tried again in {seconds:g} s.")


def _reason(status: InstanceStatus) -> str:
    """Why it ended, and its last line; what it printed beside is in the service's logs."""
    reason = (status.reason or f"The instance ended with exit code {status.exit_code}.")[:SHOWN_LENGTH]
    # What it said of its failure itself is the reason already.
    if any(STATED_FAILURE in line for line in status.last_log):
        return f"{reason.removesuffix('.')}. What it printed is in the service's logs."
    printed = [line.strip() for line in status.last_log if line.strip() and not line.startswith(EVENT)]
    if not printed:
        return reason
    return f"{reason} Its last line is: {printed[-1][:SHOWN_LENGTH]} (the others are in the service's logs)."
