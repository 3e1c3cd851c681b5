"""A model package as a directory: fetched from the blobs, verified, and put in place whole."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from artifacts import worker_thread
from artifacts.blob import BlobStore
from artifacts.byte_stream import HashedStream
from artifacts.fan_out import for_each
from artifacts.object_store import InvalidKey, ObjectNotFound, check_key

LOCK_POLL_SECONDS = 0.1
# Each takes some chunks of memory.
FILES_AT_ONCE = 4
DIRECTORY_MODE = 0o755
FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class PackageEntry:
    """`path` is relative and POSIX; `sha256` is hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


class ArtifactDrift(Exception):
    """A stored file is not the one that was imported: by its SHA-256, or since it is gone (`actual` is None)."""

    def __init__(self, file: str, *, expected: str, actual: str | None) -> None:
        found = f"has SHA-256 {actual} instead of {expected}" if actual else f"with SHA-256 {expected} is gone"
        super().__init__(f"The stored file {file!r} {found}.")
        self.file = file
        self.expected = expected
        self.actual = actual


async def materialise(blobs: BlobStore, files: Sequence[PackageEntry], directory: Path) -> None:
    """Makes `directory` hold exactly these files, readable by everybody; leaves it alone where it does already.

    Several processes may ask for the same directory. One that holds anything else is replaced, never written into.
    Raises ArtifactDrift, InvalidKey for a path that leads outside, OSError for the disk's failures, and StoreError.
    """
    await worker_thread.run(_check_paths, files)
    async with _locked(directory):
        await worker_thread.run(_discard_partials, directory)
        if await _holds(directory, files):
            return
        partial = _partial(directory)
        try:
            await worker_thread.run(_make_directory, partial)

            async def fetch(entry: PackageEntry) -> None:
                await _fetch(blobs, entry, partial)

            await for_each(files, fetch, at_once=FILES_AT_ONCE)
            await worker_thread.run(_put_in_place, partial, directory)
        finally:
            await worker_thread.run(_discard_partials, directory)


async def discard(directory: Path, *, unless: Callable[[], Awaitable[bool]]) -> bool:
    """Removes a directory that can be laid out again. `unless` is asked while nobody can be laying it out."""
    async with _locked(directory) as lock:
        if await unless():
            return False
        await worker_thread.run(_discard, directory)
        await worker_thread.run(lock.remove)
    return True


def _check_paths(files: Sequence[PackageEntry]) -> None:
    paths = {entry.path for entry in files}
    if len(paths) < len(files):
        raise ValueError("A package names each file once.")
    for path in paths:
        check_key(path)
    # NUL, which no path has, sorts before everything: what lies below a path comes right behind it.
    for path, following in pairwise(sorted(path.replace("/", "\0") for path in paths)):
        if following.startswith(f"{path}\0"):
            raise InvalidKey(path.replace("\0", "/"), "it is a file and a directory at once")


async def _fetch(blobs: BlobStore, entry: PackageEntry, partial: Path) -> None:
    path = partial / entry.path
    await worker_thread.run(_create, path, partial)
    try:
        async with aclosing(blobs.read(entry.sha256)) as chunks:
            stream = HashedStream(chunks)
            async for chunk in stream:
                await worker_thread.run(_append, path, chunk)
    except ObjectNotFound as failure:
        raise ArtifactDrift(entry.path, expected=entry.sha256, actual=None) from failure
    if stream.sha256 != entry.sha256:
        raise ArtifactDrift(entry.path, expected=entry.sha256, actual=stream.sha256)


def _create(path: Path, partial: Path) -> None:
    for parent in reversed(path.relative_to(partial).parents):
        _make_directory(partial / parent)
    path.touch(exist_ok=False)
    path.chmod(FILE_MODE)


def _append(path: Path, chunk: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        written = 0
        while written < len(chunk):
            written += file.write(chunk[written:])


def _make_directory(path: Path) -> None:
    # The mode is set apart since the umask would take from it.
    path.mkdir(exist_ok=True)
    path.chmod(DIRECTORY_MODE)


async def _holds(directory: Path, files: Sequence[PackageEntry]) -> bool:
    """Every byte is compared: this is also how files that a power cut left empty are found."""
    sizes = {entry.path: entry.size_bytes for entry in files}
    if await asyncio.to_thread(_sizes, directory) != sizes:
        return False
    for entry in files:
        if await asyncio.to_thread(_sha256, directory / entry.path) != entry.sha256:
            return False
    return True


def _sizes(directory: Path) -> dict[str, int | None] | None:
    """None where there is no directory; a size of None for what is no regular file."""
    if directory.is_symlink() or not directory.is_dir():
        return None
    sizes: dict[str, int | None] = {}
    for folder, directories, files in os.walk(directory):
        for name in files + [name for name in directories if Path(folder, name).is_symlink()]:
            status = Path(folder, name).lstat()
            path = Path(folder, name).relative_to(directory).as_posix()
            sizes[path] = status.st_size if stat.S_ISREG(status.st_mode) else None
    return sizes


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _partial(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.partial-{uuid4().hex}")


def _put_in_place(partial: Path, directory: Path) -> None:
    if os.path.lexists(directory):
        directory.rename(_partial(directory))
    partial.rename(directory)


def _discard_partials(directory: Path) -> None:
    """Only for the holder of the lock: whatever lies there is then nobody's."""
    prefix = f".{directory.name}.partial-"
    for sibling in list(directory.parent.iterdir()):
        if sibling.name.startswith(prefix):
            _discard(sibling)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


class _Lock:
    def __init__(self, directory: Path) -> None:
        self._path = directory.with_name(f".{directory.name}.lock")
        self._descriptor = -1

    def open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if self._is_in_place():
            return True
        self.close()
        self.open()
        return False

    def _is_in_place(self) -> bool:
        """Whoever held the lock before may have removed its file: those who come now lock another."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Only for the holder."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@asynccontextmanager
async def _locked(directory: Path) -> AsyncIterator[_Lock]:
    """One process at a time; the lock ends with its holder, however that ends."""
    lock = _Lock(directory)
    try:
        await worker_thread.run(lock.open)
        while not await worker_thread.run(lock.acquire):
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield lock
    finally:
        lock.close()
