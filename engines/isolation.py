"""How package code is kept from the host: which level works here, and the launcher's plan for a program at it."""

import asyncio
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.command import LAUNCHER, run_plan
from engines.engine import EngineError, IsolationLevel
from engines.launcher import Plan
from engines.package_source import base_interpreter

PROBE_TIMEOUT_SECONDS = 15
TEMPORARY_BYTES = 512 * 1024 * 1024
TEMPORARY_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
# From this kernel on a user namespace's processes are counted apart from those of the user outside.
COUNTING_KERNEL = (5, 14)
SYSTEM_PATHS = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu"),
)
NOTES = {
    "sandbox": "Package code runs in bubblewrap{user}: no network, no capabilities, and only its own files to see.",
    "private": "Package code runs as a user of its own, without network, and with the data directory out of sight.",
    "user": "Package code runs as a user of its own; it can reach the network and files that are open to everybody.",
    "none": "Package code runs as the server's own user: it can read and change whatever the server can.",
}


@dataclass(frozen=True, slots=True)
class Isolation:
    """A level that was tried and works; `has_private_mounts` says whether USER can hide folders and the network."""

    level: IsolationLevel
    note: str
    has_private_mounts: bool = False

    @property
    def needs_user(self) -> bool:
        """Whether every instance runs as a user id of its own."""
        return self.level is not IsolationLevel.NONE and os.geteuid() == 0

    @property
    def counts_processes(self) -> bool:
        """Whether the kernel counts an instance's processes, and nobody else's, as its user's."""
        return self.needs_user or (self.level is IsolationLevel.BUBBLEWRAP and _kernel() >= COUNTING_KERNEL)

    @property
    def has_private_temporary_folder(self) -> bool:
        """Whether /tmp is the instance's own and goes with it."""
        return self.level is IsolationLevel.BUBBLEWRAP or self.has_private_mounts


@dataclass(frozen=True, slots=True)
class Confinement:
    """A program and all it may reach; `hidden` is the folder of secrets around some of it."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    hidden: Path
    user_id: int | None
    limits: Mapping[str, int]
    parent_pid: int | None


async def choose(requested: str, probe: Confinement) -> Isolation:
    """The level asked for ("auto": the strongest that works), proven by running `probe` at it.

    Root's "auto" never falls below USER: where that does not work, starting an instance fails and says why.
    Raises EngineError when a level asked for by name does not work here.
    """
    if requested == "none":
        return Isolation(IsolationLevel.NONE, NOTES["none"])
    reasons: list[str] = []
    for candidate in _candidates(requested):
        reason = await _failure(candidate, probe)
        if reason is None:
            return candidate
        reasons.append(reason)
    why = reasons[0] if reasons else "the server does not run as root"
    if requested == "auto" and os.geteuid() == 0:
        return Isolation(IsolationLevel.USER, f"No model can be started: isolation does not work here: {reasons[-1]}.")
    if requested == "auto":
        return Isolation(IsolationLevel.NONE, f"{NOTES['none']} Isolation does not work here: {why}.")
    raise EngineError(f"The isolation {requested!r} does not work here: {why}.")


def launch_plan(isolation: Isolation, confinement: Confinement) -> Plan:
    """What the launcher is to do for this program at this level. Raises EngineError naming a folder that is closed."""
    inner = _inner_plan(confinement)
    if isolation.needs_user:
        _open_contents(confinement)
    match isolation.level:
        case IsolationLevel.BUBBLEWRAP:
            return _sandboxed(inner, confinement)
        case IsolationLevel.USER:
            return _as_user(inner, confinement, isolation)
        case IsolationLevel.NONE:
            return {**inner, "user_id": None}


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])


def _candidates(requested: str) -> list[Isolation]:
    is_root = os.geteuid() == 0
    own_user = " as a user of its own" if is_root else ""
    sandbox = Isolation(IsolationLevel.BUBBLEWRAP, NOTES["sandbox"].format(user=own_user))
    private = Isolation(IsolationLevel.USER, NOTES["private"], has_private_mounts=True)
    user = Isolation(IsolationLevel.USER, NOTES["user"])
    return [
        *([sandbox] if requested in ("auto", "bubblewrap") else []),
        *([private, user] if requested in ("auto", "user") and is_root else []),
    ]


async def _failure(candidate: Isolation, probe: Confinement) -> str | None:
    try:
        plan = await asyncio.to_thread(launch_plan, candidate, probe)
        result = await run_plan(plan, timeout_seconds=PROBE_TIMEOUT_SECONDS)
    except EngineError as error:
        return str(error).rstrip(".")
    except TimeoutError:
        return f"a trial took longer than {PROBE_TIMEOUT_SECONDS} s"
    last = (result.errors.strip().splitlines() or [f"exit code {result.exit_code}"])[-1]
    return None if result.exit_code == 0 else _message(last).rstrip(".")


def _message(line: str) -> str:
    try:
        event = json.loads(line)
    except ValueError:
        return line
    return str(event["message"]) if isinstance(event, dict) and "message" in event else line


def _inner_plan(confinement: Confinement) -> Plan:
    return {
        "parent_pid": confinement.parent_pid,
        "is_private": False,
        "covers": [],
        "visible": [],
        "user_id": confinement.user_id,
        "limits": dict(confinement.limits),
        "environment": dict(confinement.environment),
        "directory": str(confinement.directory),
        "arguments": list(confinement.arguments),
        "input": None,
    }


def _sandboxed(inner: Plan, confinement: Confinement) -> Plan:
    program = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin") or shutil.which("bwrap")
    if program is None:
        raise EngineError("bubblewrap (bwrap) is not installed.")
    return {
        **inner,
        "user_id": None,
        "limits": {},
        "environment": {},
        "directory": "/",
        "arguments": [program, *_sandbox_options(confinement), "--", base_interpreter(), "-I", "-S", str(LAUNCHER)],
        # Inside, the parent is bubblewrap's own first process, and it ends everything with it.
        "input": json.dumps({**inner, "parent_pid": None}),
    }


def _sandbox_options(confinement: Confinement) -> list[str]:
    # Real root keeps its user namespace: a user of the host's own is stronger than root mapped to another number.
    namespaces = ["pid", "net", "ipc", "uts", *([] if os.geteuid() == 0 else ["user"])]
    options = [f"--unshare-{name}" for name in namespaces] + ["--unshare-cgroup-try"]
    for path in SYSTEM_PATHS:
        options += ["--ro-bind-try", path, path]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for path in TEMPORARY_FOLDERS:
        options += ["--perms", "1777", "--size", str(TEMPORARY_BYTES), "--tmpfs", path]
    visible = _visible(confinement)
    for parent in sorted({str(parent) for path, _ in visible for parent in Path(path).parents[:-1]}):
        # What bubblewrap makes by itself on the way to a bind is closed to other users.
        options += ["--perms", "0755", "--dir", parent]
    for path, is_writable in visible:
        options += ["--bind" if is_writable else "--ro-bind", path, path]
    # Both are memory that has no other limit than half of the host's.
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return options if confinement.parent_pid is None else [*options, "--die-with-parent"]


def _as_user(inner: Plan, confinement: Confinement, isolation: Isolation) -> Plan:
    visible = _visible(confinement)
    closed = _closed_folders(confinement)
    if not isolation.has_private_mounts:
        _open_own(closed, confinement.hidden)
        return inner
    covers = [(path, 0o1777) for path in TEMPORARY_FOLDERS]
    covers += [(str(path), 0o755) for path in sorted({*closed, confinement.hidden})]
    return {**inner, "is_private": True, "covers": covers, "visible": visible}


def _visible(confinement: Confinement) -> list[tuple[str, bool]]:
    """Paths and whether they are writable, each after the folders it lies in."""
    paths = [(path, False) for path in (*confinement.readable, LAUNCHER, *_interpreter_paths())]
    paths += [(path, True) for path in confinement.writable]
    return [(str(path), is_writable) for path, is_writable in sorted(paths, key=lambda item: len(item[0].parts))]


def _interpreter_paths() -> tuple[Path, ...]:
    """The folder that the base interpreter and its library lie in, unless the system's folders hold it."""
    prefix = Path(base_interpreter()).parent.parent
    return () if any(prefix.is_relative_to(path) for path in SYSTEM_PATHS) else (prefix,)


def _closed_folders(confinement: Confinement) -> list[Path]:
    """The folders above what must be reached that are closed to a user who owns nothing."""
    wanted = (*confinement.readable, *confinement.writable, *_interpreter_paths())
    return sorted({above for path in wanted for above in path.parents if not _has_mode(above, stat.S_IXOTH)})


def _open_own(closed: list[Path], own: Path) -> None:
    for folder in sorted(closed, key=lambda folder: folder.is_relative_to(own)):
        _allow(folder, stat.S_IXOTH, own)


def _open_contents(confinement: Confinement) -> None:
    for path in confinement.readable:
        wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        if not _has_mode(path, wanted):
            _allow(path, wanted, confinement.hidden)


def _has_mode(path: Path, wanted: int) -> bool:
    return path.stat().st_mode & wanted == wanted


def _allow(path: Path, wanted: int, own: Path) -> None:
    if not path.is_relative_to(own):
        raise EngineError(f"{path} is closed to the users that models run as; open it, or move what lies in it.")
    path.chmod(path.stat().st_mode | wanted)
