"""The agent's one file, unpacked: programs that it starts, and the runtime, are read as files of their own."""

import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from edge import agent_lock
from edge.options import read_options


def go_on_unpacked(archive: Path, arguments: Sequence[str]) -> NoReturn:
    """Become the agent that the file holds, under the same process id."""
    data = read_options(arguments).data
    # First of all: another agent may run from the folder that would be removed.
    lock = agent_lock.take(data)
    folder = unpacked(archive, data / "agent")
    agent_lock.hand_on(lock)
    os.execv(sys.executable, [sys.executable, str(folder), *arguments])


def unpacked(archive: Path, directory: Path) -> Path:
    """The folder with what the file holds, named by its digest; those of other files are removed."""
    with archive.open("rb") as file:
        folder = directory / hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if not folder.is_dir():
        _unpack(archive, folder)
    for other in directory.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unfinished)
    unfinished.chmod(0o755)
    unfinished.rename(folder)
