"""Files of a folder store: read, written beside, put in place. Everything here blocks."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from artifacts.object_store import CHUNK_BYTES, ObjectChanged, ObjectInfo, ObjectNotFound

PLACE_ATTEMPTS = 10


def object_info(key: str, status: os.stat_result) -> ObjectInfo:
    """The inode is part of the ETag since two writes may share a clock tick and a size."""
    modified_at = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    etag = f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"
    return ObjectInfo(key, status.st_size, modified_at, etag)


class SourceFile:
    """One object, open for reading."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._descriptor = -1

    def open(self, path: Path, if_match: str | None) -> ObjectInfo:
        """Raises ObjectNotFound for whatever is not a regular file, and ObjectChanged."""
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectNotFound(self.key) from error
        return self.info(if_match)

    def info(self, if_match: str | None) -> ObjectInfo:
        """Raises ObjectChanged where the file is no longer what `if_match` said."""
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFound(self.key)
        info = object_info(self.key, status)
        if if_match not in (None, info.etag):
            raise ObjectChanged(self.key)
        return info

    def read_at(self, offset_bytes: int, end_bytes: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(CHUNK_BYTES, end_bytes - offset_bytes)), offset_bytes)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class DraftFile:
    """A new file that nobody sees until it is put in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    @property
    def is_open(self) -> bool:
        return self._descriptor >= 0

    def write(self, block: bytes) -> None:
        if not self.is_open:
            # For the owner only: package code that runs here as another user must not read other people's models.
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        write_all(self._descriptor, block)

    def place(self, key: str, target: Path) -> ObjectInfo:
        """Syncs the bytes and renames the file to `target`, which then is all there, also after a power cut."""
        os.fsync(self._descriptor)
        info = object_info(key, os.fstat(self._descriptor))
        place(self._path, target)
        self._close()
        return info

    def close(self) -> None:
        """Closes a file that was not put in place, and removes it."""
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


def write_all(descriptor: int, block: bytes, offset_bytes: int | None = None) -> None:
    """Writes at the file's position, or at `offset_bytes`."""
    with memoryview(block) as view:
        written = 0
        while written < len(view):
            rest = view[written:]
            if offset_bytes is None:
                written += os.write(descriptor, rest)
            else:
                written += os.pwrite(descriptor, rest, offset_bytes + written)


def place(source: Path, target: Path) -> None:
    """Renames durably, over what is there, making folders as needed."""
    for attempt in range(1, PLACE_ATTEMPTS + 1):
        try:
            os.replace(source, target)
            break
        except FileNotFoundError:
            # A folder that had become empty may be removed again before the next attempt.
            if attempt == PLACE_ATTEMPTS or not os.path.lexists(source):
                raise
            make_folders(target.parent)
    sync_folder(target.parent)


def make_folders(folder: Path) -> None:
    """Makes the folder and those above it, durably."""
    missing = [step for step in (folder, *folder.parents) if not step.exists()]
    for step in reversed(missing):
        with suppress(FileExistsError):
            step.mkdir(mode=0o700)
        sync_folder(step.parent)


def prune_folders(folder: Path, root: Path) -> None:
    """Removes the folder and those above it, below `root`, as far as they are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
