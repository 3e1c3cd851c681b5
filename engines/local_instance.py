"""One replica on this host: started, watched until it ends, and ended with everything it started."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from engines.command import LAUNCHER
from engines.control_group import ControlGroup
from engines.engine import InstanceState, InstanceStatus, IsolationLevel
from engines.instance_directory import InstanceDirectory, InstanceRecord
from engines.instance_log import InstanceLog
from engines.launcher import Plan
from engines.package_source import base_interpreter
from engines.process import ProcessIdentity, Remains, children, identify, kill_remains, open_same, reap, send
from engines.readiness import is_healthy
from engines.user_claim import UserClaim, reclaim

LAST_LOG_LINES = 20
FIRST_PROBE_SECONDS, LONGEST_PROBE_SECONDS = 0.05, 1.0
CHECK_SECONDS = 5.0
SIGNAL_EXIT_CODE = 128


@dataclass(slots=True)
class LocalInstance:
    """A replica and what is known of it; `notify` is called whenever its state changes."""

    directory: InstanceDirectory
    log: InstanceLog
    record: InstanceRecord
    claim: UserClaim | None
    group: ControlGroup | None
    notify: Callable[[], None]
    state: InstanceState = InstanceState.STARTING
    exit_code: int | None = None
    reason: str | None = None
    pidfd: int | None = None
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    watcher: asyncio.Task[None] | None = None

    def status(self) -> InstanceStatus:
        """How it is now; reads the end of its log once it has exited."""
        has_exited = self.state is InstanceState.EXITED
        return InstanceStatus(
            instance_id=self.record.instance_id,
            state=self.state,
            address=str(self.directory.address),
            pid=None if has_exited else self.record.process.pid,
            exit_code=self.exit_code,
            reason=self.reason,
            last_log=self.log.tail(LAST_LOG_LINES, since_bytes=self.record.log_offset_bytes) if has_exited else (),
        )

    def watch(self, start_timeout_seconds: float) -> None:
        """Follows the process from now on, if it still runs."""
        self.pidfd = open_same(self.record.process)
        if self.pidfd is None:
            self._settle(None, self._stated_failure() or "The process ended while no server watched it.")
            return
        asyncio.get_running_loop().add_reader(self.pidfd, self._on_exit)
        self.watcher = asyncio.create_task(self._follow(self.pidfd, start_timeout_seconds))

    async def end(self, grace_seconds: float) -> None:
        """Asks it to end, waits that long, and kills what is left."""
        if self.watcher is None or self.pidfd is None:
            return
        await asyncio.to_thread(self._ask_to_end, self.pidfd)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self.exited.wait()
        if not self.exited.is_set():
            send(self.pidfd, signal.SIGKILL)
        await asyncio.shield(self.watcher)

    async def detach(self) -> None:
        """Stops watching it and leaves it running."""
        if self.watcher is not None and not self.watcher.done():
            self.watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self.watcher
        if self.claim is not None:
            self.claim.detach()
            self.claim = None

    async def _follow(self, pidfd: int, start_timeout_seconds: float) -> None:
        try:
            if not await self._is_ready_within(start_timeout_seconds) and not self.exited.is_set():
                self.reason = f"The instance was not ready within {start_timeout_seconds:g} s."
                send(pidfd, signal.SIGKILL)
            await self._until_exit()
            # Before the process is reaped: until then its number, which names the session, is nobody else's.
            await self.clear_away(session=self.record.process.pid)
            self._conclude(pidfd)
        finally:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
            self.pidfd = None

    async def _is_ready_within(self, timeout_seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                pause = FIRST_PROBE_SECONDS
                while not self.exited.is_set():
                    await self._bound()
                    if await is_healthy(self.directory.address):
                        self._change(InstanceState.READY)
                        return True
                    await self._wait_for_exit(pause)
                    pause = min(pause * 1.3, LONGEST_PROBE_SECONDS)
        return False

    async def _until_exit(self) -> None:
        while not self.exited.is_set():
            await self._bound()
            await self._wait_for_exit(CHECK_SECONDS)

    async def _bound(self) -> None:
        """Holds what it writes within bounds: its log begins again, and its folders end it."""
        if await asyncio.to_thread(self._is_out_of_bounds) and self.pidfd is not None:
            self.reason = "The instance wrote more than 2 GiB or 20,000 files into its temporary folder, and was ended."
            send(self.pidfd, signal.SIGKILL)

    def _is_out_of_bounds(self) -> bool:
        self.log.cap()
        return self.directory.is_too_large()

    async def _wait_for_exit(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.exited.wait()

    async def clear_away(self, *, session: int | None) -> None:
        """Kills what the process left running, and gives its user id back; `session` as for Remains."""
        if self.record.user_id is not None and self.claim is None:
            self.claim = await asyncio.to_thread(reclaim, self.record.user_id, self.record.holder)
        if self.group is not None:
            self.group.kill()
        # By its user only while that is claimed, and so nobody else's.
        user_id = None if self.claim is None else self.claim.user_id
        if await kill_remains(Remains(self.record.holder, session, user_id)) and self.claim is not None:
            self.claim.release()
            self.claim = None

    def _conclude(self, pidfd: int) -> None:
        code = self._as_signal(reap(pidfd))
        self._settle(code, self.reason or self._memory_failure() or self._stated_failure() or _reason(code))
        if self.group is not None:
            self.group.remove()

    def _on_exit(self) -> None:
        if self.pidfd is not None:
            asyncio.get_running_loop().remove_reader(self.pidfd)
        self.exited.set()

    def _ask_to_end(self, pidfd: int) -> None:
        if self.record.level is not IsolationLevel.BUBBLEWRAP:
            send(pidfd, signal.SIGTERM)
            return
        # bubblewrap passes no signal on: the program is the child of its first process inside.
        for inside in children(self.record.process.pid):
            for program in children(inside):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(program, signal.SIGTERM)

    def _as_signal(self, code: int | None) -> int | None:
        is_signal = self.record.level is IsolationLevel.BUBBLEWRAP and code is not None and code > SIGNAL_EXIT_CODE
        return SIGNAL_EXIT_CODE - code if is_signal and code is not None else code

    def _memory_failure(self) -> str | None:
        if self.group is None or not self.group.ran_out_of_memory():
            return None
        return "The instance needed more memory than it was given, and was ended."

    def _stated_failure(self) -> str | None:
        """What the program itself said of its failure to start, in the form that runtime/ writes it."""
        for line in reversed(self.log.tail(LAST_LOG_LINES * 10, since_bytes=self.record.log_offset_bytes)):
            if '"start_failed"' in line:
                with suppress(ValueError, KeyError, TypeError):
                    return str(json.loads(line)["message"])
        return None

    def _settle(self, code: int | None, reason: str) -> None:
        self.exit_code, self.reason = code, reason
        self.exited.set()
        self._change(InstanceState.EXITED)

    def _change(self, state: InstanceState) -> None:
        self.state = state
        self.notify()


def spawn(log: int, listener: int) -> tuple[ProcessIdentity, int]:
    """Starts the launcher, which waits for its plan at the descriptor returned (the caller's to close).

    What it becomes has `listener` as SOCKET_DESCRIPTOR.

    To be called by a thread that lives as long as the server: the kernel ends the child with the thread.
    """
    reading, writing = os.pipe()
    try:
        pid = os.posix_spawn(
            base_interpreter(),
            [base_interpreter(), "-I", "-S", str(LAUNCHER)],
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, descriptor, target)
                for target, descriptor in enumerate((reading, log, log, listener))
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        )
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return identify(pid), writing


def send_plan(writing: int, plan: Plan) -> None:
    """Tells a spawned launcher what to become; one that has ended meanwhile is left to its watcher."""
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(plan).encode())


def _reason(code: int | None) -> str:
    if code is None:
        return "The process ended."
    if code < 0:
        return f"The process was ended by {signal.Signals(-code).name}."
    return f"The process ended with exit code {code}."
