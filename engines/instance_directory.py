"""The files of one instance: its socket, its record, its log, and the folders it may write to."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engines.engine import EngineError, IsolationLevel
from engines.process import ProcessIdentity

LONGEST_SOCKET_PATH_BYTES = 107
SOCKET, RUN, TEMPORARY, APIS, RECORD = "s", "run", "tmp", "apis.json", "instance.json"


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
    """Where an instance's files lie. The instance itself writes below `run` and `temporary` only."""

    path: Path
    socket_directory: Path

    @property
    def address(self) -> Path:
        """The socket as others reach it: a hard link that the instance cannot exchange for a link elsewhere."""
        return self.socket_directory / SOCKET

    @property
    def run(self) -> Path:
        return self.socket_directory / RUN

    @property
    def socket(self) -> Path:
        """The socket as the instance makes it."""
        return self.run / SOCKET

    @property
    def temporary(self) -> Path:
        return self.path / TEMPORARY

    @property
    def apis(self) -> Path:
        return self.path / APIS

    def publish_socket(self) -> bool:
        """Makes the socket reachable at `address`; False while it is not there, or is not a socket."""
        if self.address.exists():
            return True
        try:
            os.link(self.socket, self.address, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISSOCK(self.address.lstat().st_mode):
            return True
        self.address.unlink()
        return False

    def write_record(self, record: InstanceRecord) -> None:
        """Replaces the record at once or not at all."""
        unfinished = self.path / f"{RECORD}.new"
        with unfinished.open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / RECORD)

    def remove(self) -> None:
        """Removes everything but the log."""
        if self.socket_directory != self.path:
            shutil.rmtree(self.socket_directory, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)


def create_directory(path: Path, *, apis: tuple[Mapping[str, object], ...], user_id: int | None) -> InstanceDirectory:
    """Makes the folders of an instance, its own ones owned by the user it runs as. Raises EngineError."""
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        path.chmod(0o711)
        directory = InstanceDirectory(path, _socket_directory(path))
        directory.apis.write_text(json.dumps(apis))
        directory.apis.chmod(0o644)
        for folder in (directory.run, directory.temporary):
            folder.mkdir(mode=0o700)
            if user_id is not None:
                os.chown(folder, user_id, user_id)
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
    if len(os.fsencode(path / RUN / SOCKET)) <= LONGEST_SOCKET_PATH_BYTES:
        return path
    places = [os.environ.get("XDG_RUNTIME_DIR"), "/run" if os.geteuid() == 0 else None, tempfile.gettempdir()]
    place = next(place for place in places if place and os.access(place, os.W_OK | os.X_OK))
    short = Path(tempfile.mkdtemp(prefix="modelyard-", dir=place))
    short.chmod(0o711)
    return short
