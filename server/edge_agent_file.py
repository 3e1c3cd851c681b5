"""The one file that a bare edge machine needs: the agent, the engine and the runtime, as a program for its Python."""

import hashlib
import importlib.util
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

SHEBANG = b"#!/usr/bin/env python3\n"
# What an archive says of every file, so that the same checkout makes the same bytes.
TIME = (1980, 1, 1, 0, 0, 0)
PERMISSIONS = 0o644 << 16
PROGRAMS = ("edge", "engines")
RUNTIME = "runtime"
# Pure Python, and all that the engine needs beside the standard library.
LIBRARY = "packaging"


class AgentFile:
    """Made of a checkout when it is first asked for, and kept."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._lock = threading.Lock()
        self._content: bytes | None = None

    def content(self) -> bytes:
        """The file's bytes: a ZIP archive that `python3 agent.pyz` runs."""
        with self._lock:
            if self._content is None:
                self._content = archive(self._checkout)
            return self._content

    def digest(self) -> str:
        """Its SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content()).hexdigest()


def archive(checkout: Path) -> bytes:
    """The same bytes for the same files."""
    target = io.BytesIO(SHEBANG)
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, file in sorted(_files(checkout)):
            entry = zipfile.ZipInfo(name, TIME)
            entry.external_attr = PERMISSIONS
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, file.read_bytes())
    return target.getvalue()


def _files(checkout: Path) -> Iterator[tuple[str, Path]]:
    yield "__main__.py", checkout / "edge" / "__main__.py"
    for program in PROGRAMS:
        yield from _below(checkout / program, "*.py")
    yield from _below(checkout / RUNTIME, "*.py")
    yield from _below(checkout / RUNTIME, "*.txt")
    yield from _below(_library(), "*.py")


def _below(folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    for file in folder.rglob(pattern):
        yield f"{folder.name}/{file.relative_to(folder).as_posix()}", file


def _library() -> Path:
    found = importlib.util.find_spec(LIBRARY)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent
