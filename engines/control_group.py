"""Memory and processor limits by control groups (version 2), where systemd delegated a part of the tree to us."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engines.engine import EngineError

CPU_PERIOD_MICROSECONDS = 100_000
# Threads count too.
PROCESS_LIMIT = 1024
DELEGATION_MARKS = ("trusted.delegate", "user.delegate")


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The group of one instance; it need not be there yet, or any more."""

    path: Path

    def create(self, *, memory_bytes: int, cpu_count: float) -> None:
        """Makes the group with its limits. Raises EngineError."""
        try:
            self.path.mkdir(exist_ok=True)
            (self.path / "memory.max").write_text(str(memory_bytes))
            # One process of an instance that was ended leaves the others useless.
            (self.path / "memory.oom.group").write_text("1")
            quota = int(cpu_count * CPU_PERIOD_MICROSECONDS)
            (self.path / "cpu.max").write_text(f"{quota} {CPU_PERIOD_MICROSECONDS}")
        except OSError as error:
            raise EngineError(f"The limits of the instance could not be set: {error}.") from error
        # Not every delegation has it; the limit of its user's processes holds without.
        with suppress(OSError):
            (self.path / "pids.max").write_text(str(PROCESS_LIMIT))

    def place(self, pid: int) -> None:
        """Moves a process into the group, before it starts others. Raises OSError."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for its memory."""
        try:
            lines = (self.path / "memory.events").read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)

    def kill(self) -> None:
        """Kills every process in the group at once."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Removes the group once nothing runs in it."""
        with suppress(OSError):
            self.path.rmdir()


def delegated_group() -> Path | None:
    """The group below which limits can be set; None where there is none.

    That takes a systemd unit with `Delegate=yes` and `DelegateSubgroup=`: the kernel gives no limits to the children
    of a group that has processes itself, and groups that systemd keeps for itself are left alone.
    """
    try:
        parent = _own_group().parent
        if not any(_has_mark(parent, mark) for mark in DELEGATION_MARKS):
            return None
        (parent / "cgroup.subtree_control").write_text("+memory +cpu")
        with suppress(OSError):
            (parent / "cgroup.subtree_control").write_text("+pids")
    except (OSError, StopIteration):
        return None
    return parent


def _own_group() -> Path:
    """Our group's folder. Raises StopIteration where there is no unified tree."""
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(line.removeprefix("0::") for line in groups if line.startswith("0::"))
    mounts = (line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines())
    mount = next(before.split()[4] for before, after in mounts if after.startswith("cgroup2 "))
    return Path(mount, own.lstrip("/"))


def _has_mark(group: Path, mark: str) -> bool:
    try:
        return os.getxattr(group, mark) == b"1"
    except OSError:
        return False
