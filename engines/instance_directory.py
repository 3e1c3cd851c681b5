"""The files of one instance: its socket, its record, its log, and the folders it may write to."""

import errno
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.engine import EngineError, IsolationLevel
from engines.process import ProcessIdentity

LONGEST_SOCKET_PATH_BYTES = 107
BLOCK_BYTES = 512
LARGEST_BYTES, LARGEST_COUNT = 2 << 30, 20_000
SOCKET, TEMPORARY, APIS, RECORD = "s", "tmp", "apis.json", "instance.json"


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What a later server needs to take the instance over, or to clear it away.

    `holder` is the name its user id is claimed under; `log_offset_bytes` is where its own part of the log begins;
    `environment` is the name of its environment's folder, empty for one of an earlier server that did not note it.
    """

    instance_id: str
    service_id: str
    level: IsolationLevel
    user_id: int | None
    holder: str
    socket_directory: str
    process: ProcessIdentity
    log_offset_bytes: int
    environment: str = ""


@dataclass(frozen=True, slots=True)
class InstanceDirectory:
    """Where an instance's files lie. The instance itself writes below `temporary` only, if anywhere."""

    path: Path
    socket_directory: Path

    @property
    def address(self) -> Path:
        """Where its socket lies, in a folder that is not the instance's."""
        return self.socket_directory / SOCKET

    @property
    def temporary(self) -> Path:
        return self.path / TEMPORARY

    @property
    def apis(self) -> Path:
        return self.path / APIS

    def bind(self) -> socket.socket:
        """A socket at `address` for the instance to inherit and listen on; the caller closes it. Raises EngineError.

        So the instance needs no folder of the host's to write to, which it could fill.
        """
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(str(self.address))
            self.address.chmod(0o600)
        except OSError as error:
            bound.close()
            raise EngineError(f"The socket of an instance could not be made: {error}.") from error
        return bound

    def write_record(self, record: InstanceRecord) -> None:
        """Replaces the record at once or not at all."""
        unfinished = self.path / f"{RECORD}.new"
        with unfinished.open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / RECORD)

    def is_too_large(self) -> bool:
        """Whether the instance wrote more below `temporary` than it may, or what cannot be counted."""
        try:
            return any(
                count > LARGEST_COUNT or size_bytes > LARGEST_BYTES for count, size_bytes in _sizes(self.temporary)
            )
        except FileNotFoundError:
            return False
        except OSError as error:
            # Nested so deep that no path leads there, or closed.
            return error.errno in (errno.ENAMETOOLONG, errno.EACCES)

    def remove(self) -> None:
        """Removes everything but the log."""
        for folder in {self.socket_directory, self.path}:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            except RecursionError:
                # Python goes into folders by calling itself, which a package may have made a thousand deep.
                subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


def _sizes(folder: Path) -> Iterator[tuple[int, int]]:
    """How many entries there are below a folder and the bytes that they take, after each entry."""
    count = size_bytes = 0
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as found:
            for entry in found:
                count += 1
                size_bytes += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
                yield count, size_bytes
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def create_directory(path: Path, *, apis: tuple[Mapping[str, object], ...], user_id: int | None) -> InstanceDirectory:
    """Makes the folders of an instance, its own ones owned by the user it runs as. Raises EngineError."""
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        path.chmod(0o711)
        directory = InstanceDirectory(path, _socket_directory(path))
        directory.apis.write_text(json.dumps(apis))
        directory.apis.chmod(0o644)
        directory.temporary.mkdir(mode=0o700)
        if user_id is not None:
            os.chown(directory.temporary, user_id, user_id)
    except OSError as error:
        raise EngineError(f"The folder of an instance could not be made: {error}.") from error
    return directory


def read_record(path: Path) -> tuple[InstanceDirectory, InstanceRecord] | None:
    """What was recorded in an instance's folder; None when its start was never recorded."""
    try:
        found = json.loads((path / RECORD).read_text())
        process = ProcessIdentity(**found.pop("process"))
        record = InstanceRecord(**{**found, "level": IsolationLevel(found["level"])}, process=process)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
        return None
    return InstanceDirectory(path, Path(record.socket_directory)), record


def _socket_directory(path: Path) -> Path:
    if len(os.fsencode(path / SOCKET)) <= LONGEST_SOCKET_PATH_BYTES:
        return path
    places = [os.environ.get("XDG_RUNTIME_DIR"), "/run" if os.geteuid() == 0 else None, tempfile.gettempdir()]
    place = next(place for place in places if place and os.access(place, os.W_OK | os.X_OK))
    short = Path(tempfile.mkdtemp(prefix="modelyard-", dir=place))
    short.chmod(0o711)
    return short
