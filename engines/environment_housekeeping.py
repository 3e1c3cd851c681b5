"""Removes environments that nobody needs any more; never one that is being built or used."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMPLETE = ".complete"
ENVIRONMENT = re.compile(r"[0-9a-f]{32}")
SERVING = re.compile(r"serving-[0-9a-f]{24}")
DISCARDED = ".discarded"


def record_completion(folder: Path, digest: str) -> None:
    """Marks a folder as whole; the digest says later which environment it is."""
    (folder / COMPLETE).write_text(digest)


def is_complete(folder: Path) -> bool:
    return (folder / COMPLETE).exists()


def note_use(folder: Path) -> None:
    """Tells the housekeeping that the environment is needed now. Raises OSError where the folder is gone."""
    os.utime(folder / COMPLETE)


def discard(directory: Path, *, kept: Collection[str], used: Collection[str], older_than_seconds: float) -> list[str]:
    """The names of the folders that it removed: those last used longer ago, but for `kept` digests and `used` names.

    A folder that does not say which environment it is goes by its age alone, as what a failed build left.
    """
    _finish(directory)
    oldest = time.time() - older_than_seconds
    removed = [
        folder.name
        for folder in _folders(directory, ENVIRONMENT)
        if folder.name not in used and _digest(folder) not in kept and _remove(folder, oldest)
    ]
    referred = {name for folder in _folders(directory, ENVIRONMENT) for name in _serving_folders(folder)}
    unreferred = [folder for folder in _folders(directory, SERVING) if folder.name not in referred | {*used}]
    return removed + [folder.name for folder in unreferred if _remove(folder, oldest)]


def _folders(directory: Path, names: re.Pattern[str]) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if names.fullmatch(path.name) and path.is_dir())


def _digest(folder: Path) -> str | None:
    try:
        return (folder / COMPLETE).read_text().strip() or None
    except FileNotFoundError:
        return None


def _last_use(folder: Path) -> float:
    complete = folder / COMPLETE
    return (complete if complete.exists() else folder).stat().st_mtime


def _serving_folders(folder: Path) -> Iterator[str]:
    """The shared libraries that an environment names in its .pth files."""
    for file in folder.glob("lib/python*/site-packages/*_serving.pth"):
        yield from SERVING.findall(file.read_text())


def _remove(folder: Path, oldest: float) -> bool:
    """False where it was used since, or somebody is building it."""
    with _lock(folder) as is_locked, suppress(FileNotFoundError):
        if not is_locked or _last_use(folder) > oldest:
            return False
        discarded = folder.with_name(f"{folder.name}{DISCARDED}")
        # Gone at once for everybody else: a removal that is broken off leaves no half of an environment.
        folder.rename(discarded)
        shutil.rmtree(discarded)
        return True
    return False


def _finish(directory: Path) -> None:
    """What an earlier removal, broken off, left."""
    for path in directory.glob(f"*{DISCARDED}"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds the folder's lock, which is then held."""
    # The file stays: whoever waits for the lock has it open, and must not hold another than who comes later.
    descriptor = os.open(folder.with_name(f"{folder.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
