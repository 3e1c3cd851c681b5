"""The files of a folder store, by key: found, listed, moved, removed. Everything here blocks."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from artifacts.folder_file import object_info, place, prune_folders
from artifacts.object_store import (
    InvalidKey,
    ObjectInfo,
    ObjectNotFound,
    UnlistedFile,
    check_key,
    check_prefix,
    is_key,
)

HIDDEN = ".modelyard"
DRAFT_LIFE_SECONDS = 24 * 3600
UPLOAD_LIFE_SECONDS = 7 * 24 * 3600


class FolderTree:
    """Symbolic links below the root are neither followed nor listed; what is being written lies in a hidden folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.drafts = self.root / HIDDEN / "drafts"
        self.uploads = self.root / HIDDEN / "uploads"

    def prepare(self) -> None:
        """Makes the folders, and removes what a killed process left behind: drafts of a day, uploads of a week."""
        for folder in (self.drafts, self.uploads):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for draft in self.drafts.iterdir():
            if _age_seconds(draft) > DRAFT_LIFE_SECONDS:
                draft.unlink(missing_ok=True)
        for upload in self.uploads.iterdir():
            if _idle_seconds(upload) > UPLOAD_LIFE_SECONDS:
                shutil.rmtree(upload, ignore_errors=True)

    def check(self) -> None:
        """Raises OSError where nothing can be read or written, as where the disk is not mounted."""
        self.drafts.stat()
        if not os.access(self.drafts, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError

    def locate(self, key: str) -> Path:
        """Raises InvalidKey for a key that leads anywhere but to a place of its own below the root."""
        check_key(key)
        path = self.root / key
        if key.split("/", 1)[0].casefold() == HIDDEN:
            raise InvalidKey(key, f"{HIDDEN!r} is the store's own folder")
        if os.path.realpath(path) != str(path):
            raise InvalidKey(key, "it leads through a symbolic link")
        return path

    def head(self, key: str) -> ObjectInfo | None:
        try:
            status = os.lstat(self.locate(key))
        except (FileNotFoundError, NotADirectoryError):
            self.check()
            return None
        return object_info(key, status) if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Sorted by key, read folder by folder as the iterator advances."""
        for key, entry in self._below(prefix):
            if is_key(key) and (info := _entry_info(key, entry)):
                yield info

    def unlisted(self, prefix: str) -> Iterator[UnlistedFile]:
        """What `list` leaves out, in the same order."""
        for key, entry in self._below(prefix):
            reason = _reason_unlisted(key, entry)
            if reason is not None:
                yield UnlistedFile(key, reason)

    def delete(self, key: str) -> None:
        if self.head(key) is not None:
            path = self.locate(key)
            path.unlink(missing_ok=True)
            prune_folders(path.parent, self.root)

    def move(self, source_key: str, key: str) -> None:
        if self.head(source_key) is None:
            raise ObjectNotFound(source_key)
        source = self.locate(source_key)
        place(source, self.locate(key))
        prune_folders(source.parent, self.root)

    def _below(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        check_prefix(prefix)
        self.check()
        folder = prefix.rpartition("/")[0]
        yield from self._walk(self.locate(folder) if folder else self.root, prefix)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Everything but folders."""
        for entry in _entries(folder):
            key = Path(entry.path).relative_to(self.root).as_posix()
            if entry.is_dir(follow_symlinks=False):
                if _may_hold(f"{key}/", prefix) and key.casefold() != HIDDEN:
                    yield from self._walk(Path(entry.path), prefix)
            elif key.startswith(prefix):
                yield key, entry


def _may_hold(folder_prefix: str, prefix: str) -> bool:
    return folder_prefix.startswith(prefix) or prefix.startswith(folder_prefix)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """In the order of the keys below them: `a-b` comes before `a/b`."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _entry_info(key: str, entry: os.DirEntry[str]) -> ObjectInfo | None:
    """None for a link, a device, or a file that has just gone."""
    with suppress(FileNotFoundError):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return object_info(key, status)
    return None


def _reason_unlisted(key: str, entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink():
        return "is a symbolic link"
    if not is_key(key):
        return "has a name that cannot be kept"
    return None if entry.is_file(follow_symlinks=False) else "is no regular file"


def _age_seconds(path: Path) -> float:
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return 0.0


def _idle_seconds(upload: Path) -> float:
    """Since a byte of it was written, or a part begun."""
    return min(_age_seconds(path) for path in (upload, *upload.glob("*")))
