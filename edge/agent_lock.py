"""One agent for each data directory: a lock that a process holds to its end, whatever program it becomes."""

import fcntl
import os
import sys
from pathlib import Path

LOCK = "agent.lock"
# The descriptor of the lock that the program before this one, in the same process, took.
HANDED_ON = "MODELYARD_EDGE_LOCK"


def take(data: Path) -> int:
    """The descriptor that holds the lock. Ends the program where another agent has it."""
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = _handed_on(data / LOCK)
    if lock is None:
        lock = os.open(data / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"modelyard-edge-agent: another agent uses {data}.")
    return lock


def hand_on(lock: int) -> None:
    """Have the program that this process becomes next hold it."""
    fcntl.fcntl(lock, fcntl.F_SETFD, 0)
    os.environ[HANDED_ON] = str(lock)


def _handed_on(path: Path) -> int | None:
    number = os.environ.pop(HANDED_ON, "")
    try:
        lock = int(number)
        if not os.path.samestat(os.fstat(lock), path.stat()):
            return None
        # What the agent starts does not hold it.
        fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except (ValueError, OverflowError, OSError):
        return None
    return lock
