"""A program of its own: reads a plan from standard input, gives up what it may not keep, and becomes the program named.

It runs before (and inside) a sandbox with no site-packages, so it imports the standard library only.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
OUT_OF_MEMORY_SCORE = 500
LIBC = ctypes.CDLL(None, use_errno=True)


class Plan(TypedDict):
    """What to give up and what to become.

    `covers` are folders hidden under an empty tmpfs (path, mode) and `visible` what stays reachable (path, writable);
    `user_id` is used for the group too; `limits` are names of RLIMIT_ constants; `input` is handed on as stdin.
    """

    parent_pid: int | None
    is_private: bool
    covers: list[tuple[str, int]]
    visible: list[tuple[str, bool]]
    user_id: int | None
    limits: dict[str, int]
    environment: dict[str, str]
    directory: str
    arguments: list[str]
    input: str | None


def main() -> None:
    plan: Plan = json.loads(sys.stdin.buffer.read() or b"null")
    if plan is None:
        sys.exit("the program that starts models ended before it said what to run")
    try:
        become(plan)
    except OSError as error:
        message = f"The process could not be started: {error}."
        event = {"event": "start_failed", "code": "LAUNCH_FAILED", "message": message}
        sys.stderr.write(json.dumps(event) + "\n")
        sys.exit(3)


def become(plan: Plan) -> None:
    prefer_to_end()
    if plan["is_private"]:
        hide(plan["covers"], plan["visible"])
    if plan["user_id"] is not None:
        drop_privileges(plan["user_id"])
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if plan["parent_pid"] is not None:
        die_with(plan["parent_pid"])
    set_limits(plan["limits"])
    replace_input(plan["input"])
    os.umask(0o022)
    os.chdir(plan["directory"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execve(plan["arguments"][0], plan["arguments"], plan["environment"])


def prefer_to_end() -> None:
    """Where memory runs out, the kernel ends a model sooner than the server, unless its code asks to be spared."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OUT_OF_MEMORY_SCORE))


def call(name: str, *arguments: int | bytes | None) -> None:
    converted = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if LIBC[name](*converted) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def hide(covers: list[tuple[str, int]], visible: list[tuple[str, bool]]) -> None:
    """Gives this process mounts, network, IPC and a host name of its own."""
    call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    # Opened before anything is covered: the covers hide the paths themselves.
    opened = [(Path(path), is_writable, os.open(path, os.O_PATH)) for path, is_writable in visible]
    covered: list[Path] = []
    for name, mode in covers:
        folder = Path(name)
        if folder.is_dir() and not any(folder.is_relative_to(other) for other in covered):
            mount_empty(folder, mode)
            covered.append(folder)
    for path, is_writable, descriptor in opened:
        bind(descriptor, path, is_writable=is_writable)
        os.close(descriptor)


def mount_empty(folder: Path, mode: int) -> None:
    options = f"mode={mode:o},size=512m".encode()
    call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", MS_NOSUID | MS_NODEV, options)


def bind(descriptor: int, path: Path, *, is_writable: bool) -> None:
    source = f"/proc/self/fd/{descriptor}"
    if not path.exists():
        make_mount_point(path, is_directory=Path(source).is_dir())
    call("mount", source.encode(), os.fsencode(path), None, MS_BIND, None)
    flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        flags |= MS_NOEXEC
    call("mount", None, os.fsencode(path), None, flags if is_writable else flags | MS_RDONLY, None)


def make_mount_point(path: Path, *, is_directory: bool) -> None:
    os.umask(0o022)
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        path.mkdir()
    else:
        path.touch()


def drop_privileges(user_id: int) -> None:
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        # Refused without CAP_SETPCAP; the user id and no_new_privs hold without it.
        LIBC.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)
    os.setgroups([])
    os.setresgid(user_id, user_id, user_id)
    os.setresuid(user_id, user_id, user_id)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if LIBC.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset refused to clear the capabilities")


def die_with(parent_pid: int) -> None:
    # Set after the change of user, which clears it; a parent that ended before is seen by the check.
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def set_limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        limit = getattr(resource, name)
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


def replace_input(text: str | None) -> None:
    if text is None:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    else:
        descriptor = os.memfd_create("plan")
        os.write(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
    os.dup2(descriptor, 0)


if __name__ == "__main__":
    main()
