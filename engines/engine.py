"""The one interface to what runs models: specifications, states, errors and the Engine protocol."""

import hashlib
import platform
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class EngineError(Exception):
    """An engine cannot do what was asked; the message is one sentence for whoever asked."""


class BuildFailed(EngineError):
    """An environment cannot be built.

    `package` is the distribution at fault and `requirement` the line that asked for it, where they are known.
    """

    def __init__(self, message: str, package: str | None = None, requirement: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.package = package
        self.requirement = requirement


class Capability(StrEnum):
    """What an engine is able to run."""

    REAL_TIME = "REAL_TIME"
    BATCH = "BATCH"
    EDGE = "EDGE"
    CONTAINER_IMAGE = "CONTAINER_IMAGE"
    ACCELERATOR = "ACCELERATOR"


class IsolationLevel(StrEnum):
    """How far package code is kept from the host; docs/isolation.md says what each level holds back."""

    BUBBLEWRAP = "BUBBLEWRAP"
    USER = "USER"
    NONE = "NONE"


class InstanceState(StrEnum):
    """STARTING until the model answers its health check, EXITED once its processes are gone."""

    STARTING = "STARTING"
    READY = "READY"
    EXITED = "EXITED"


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine can do and how it isolates, for people to read."""

    name: str
    capabilities: frozenset[Capability]
    isolation: IsolationLevel
    isolation_note: str


@dataclass(frozen=True, slots=True)
class EnvironmentSpecification:
    """A set of dependencies: `runtime` names the interpreter ("python3.11"), `requirements` are pip lines in order.

    `wheels` are files that came with the package; they are installed as they are.
    """

    runtime: str
    requirements: tuple[str, ...]
    wheels: tuple[Path, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over interpreter, platform, requirements and the bytes of the wheels, which it reads."""
        return environment_digest(self.runtime, self.requirements, [_name_and_sha256(wheel) for wheel in self.wheels])


def environment_digest(runtime: str, requirements: Iterable[str], wheels: Iterable[tuple[str, bytes]]) -> str:
    """The digest of an environment whose wheels' file names and SHA-256 (raw) are known, whatever became of them."""
    digest = hashlib.sha256()
    for part in (runtime, platform.python_version(), sysconfig.get_platform(), *requirements):
        digest.update(part.encode() + b"\0")
    for name, sha256 in wheels:
        digest.update(name.encode() + b"\0" + sha256)
    return digest.hexdigest()


def _name_and_sha256(path: Path) -> tuple[str, bytes]:
    with path.open("rb") as file:
        return path.name, hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True, slots=True)
class InstanceSpecification:
    """One replica to run: `package_directory` is the materialised `model` directory, `model_path` relative to it.

    `apis` is what the package declares, as JSON-able values; `timeout_seconds` limits one prediction.
    """

    instance_id: str
    service_id: str
    environment: EnvironmentSpecification
    package_directory: Path
    model_path: str
    ai_engine: str
    model_name: str
    model_version: str
    apis: tuple[Mapping[str, object], ...]
    environment_variables: Mapping[str, str]
    cpu_count: float
    memory_bytes: int
    timeout_seconds: float
    max_body_bytes: int


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """How an instance is: `address` is the path of its Unix socket, `reason` one sentence on why it exited.

    `last_log` is what it printed last, of one that exited.
    """

    instance_id: str
    state: InstanceState
    address: str
    pid: int | None
    exit_code: int | None
    reason: str | None
    last_log: tuple[str, ...]


class Engine(Protocol):
    """What every engine does. Methods raise EngineError with a sentence that can be shown."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can run, known before it is opened."""

    def description(self) -> EngineDescription: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def build(
        self, environment: EnvironmentSpecification, *, log: Callable[[str], None], timeout_seconds: float
    ) -> None:
        """Makes the environment ready, telling `log` each line; a no-op when it is. Raises BuildFailed."""

    async def is_built(self, environment: EnvironmentSpecification) -> bool: ...

    async def discard_environments(self, *, kept: Collection[str], older_than: timedelta) -> list[str]:
        """Removes environments last used longer ago, and returns their names.

        Those whose EnvironmentSpecification.digest is in `kept` stay, as do those being built or used by an instance.
        """

    async def start(self, instance: InstanceSpecification) -> None:
        """Starts an instance and returns at once; `statuses` says when it is ready."""

    async def stop(self, instance_id: str, *, grace_seconds: float) -> None:
        """Ends an instance and everything it started, and forgets it; nothing happens when it is not there."""

    async def statuses(self) -> list[InstanceStatus]: ...

    def read_log(self, instance_id: str, *, offset_bytes: int) -> tuple[list[str], int]:
        """The complete lines after the offset, and the offset to ask for next."""

    async def changed(self) -> None:
        """Returns when some instance changed its state since the last return. For one caller at a time."""
