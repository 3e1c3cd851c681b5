"""What is the caller's to mend: each with a code, one sentence, where in the input, and what to do.

    Refusal                     code, message, path, hint
    ├── AlreadyExists           + next_version
    ├── RevisionConflict        + expected_revision, actual_revision
    ├── AliasMoved              + expected_version, actual_version
    ├── PackageRefusal          + file, pointer, expected, actual: what the reading of a package or config found
    ├── InUse                   + users: who relies on what was to be deleted
    └── UnsupportedByEngine     + engine, field
    Refusals                    several of them, all that a request showed
    SignInRefused               the request's token or workspace
    ├── UnknownToken
    └── UnknownWorkspace

What a package shows is a `PackageProblem` row (artifacts.problem), stored on the version, not raised to the caller.
"""

from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from artifacts.problem import Problem

Found = TypeVar("Found")


class ErrorCode(StrEnum):
    """Every code that a payload or a version's problems can carry; docs/errors.md says what to do about each."""

    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    CONFLICT = "CONFLICT"
    ALIAS_MOVED = "ALIAS_MOVED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    INVALID_STATE = "INVALID_STATE"
    IN_USE = "IN_USE"
    MODEL_SUBSCRIBED = "MODEL_SUBSCRIBED"
    OWN_LISTING = "OWN_LISTING"
    RESTORE_EXPIRED = "RESTORE_EXPIRED"
    UNSUPPORTED_BY_ENGINE = "UNSUPPORTED_BY_ENGINE"
    TRAINING_JOB_NOT_COMPLETED = "TRAINING_JOB_NOT_COMPLETED"
    REGION_MISMATCH = "REGION_MISMATCH"
    OUTPUT_EMPTY = "OUTPUT_EMPTY"
    ARM_UNSUPPORTED = "ARM_UNSUPPORTED"
    TEMPLATE_MODE_FIXED = "TEMPLATE_MODE_FIXED"
    LOCATION_REFUSED = "LOCATION_REFUSED"
    LOCATION_READ_ONLY = "LOCATION_READ_ONLY"
    UPLOAD_EXPIRED = "UPLOAD_EXPIRED"
    UPLOAD_INCOMPLETE = "UPLOAD_INCOMPLETE"
    MODEL_VERSION_NOT_READY = "MODEL_VERSION_NOT_READY"
    DEPLOYMENT_TYPE_NOT_CHOSEN = "DEPLOYMENT_TYPE_NOT_CHOSEN"
    INSUFFICIENT_CAPACITY = "INSUFFICIENT_CAPACITY"
    BELOW_MINIMUM_SPECIFICATION = "BELOW_MINIMUM_SPECIFICATION"
    LIMIT_REACHED = "LIMIT_REACHED"
    SERVICE_NOT_RUNNING = "SERVICE_NOT_RUNNING"
    PREDICTION_FAILED = "PREDICTION_FAILED"
    # What a batch service reads and writes.
    INPUT_EMPTY = "INPUT_EMPTY"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    OUTPUT_NOT_EMPTY = "OUTPUT_NOT_EMPTY"
    OUTPUT_IN_USE = "OUTPUT_IN_USE"
    INPUT_UNREADABLE = "INPUT_UNREADABLE"
    INSTANCE_LOST = "INSTANCE_LOST"
    # What an import finds in storage.
    MODEL_DIRECTORY_MISSING = "MODEL_DIRECTORY_MISSING"
    CONFIG_MISSING = "CONFIG_MISSING"
    CONFIG_NOT_UNIQUE = "CONFIG_NOT_UNIQUE"
    CONFIG_NOT_JSON = "CONFIG_NOT_JSON"
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_UNKNOWN_KEY = "CONFIG_UNKNOWN_KEY"
    CONFIG_DOUBTFUL_VALUE = "CONFIG_DOUBTFUL_VALUE"
    CONFIG_LEFT_OUT = "CONFIG_LEFT_OUT"
    MODEL_FILE_MISSING = "MODEL_FILE_MISSING"
    MODEL_FILE_NOT_UNIQUE = "MODEL_FILE_NOT_UNIQUE"
    MODEL_FILE_EMPTY = "MODEL_FILE_EMPTY"
    MODEL_FILE_MISPLACED = "MODEL_FILE_MISPLACED"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FILE_PATH_INVALID = "FILE_PATH_INVALID"
    INFERENCE_CODE_MISSING = "INFERENCE_CODE_MISSING"
    INFERENCE_CODE_NOT_UNIQUE = "INFERENCE_CODE_NOT_UNIQUE"
    INFERENCE_CODE_INVALID = "INFERENCE_CODE_INVALID"
    INFERENCE_CODE_DOUBTFUL = "INFERENCE_CODE_DOUBTFUL"
    WHEEL_MISSING = "WHEEL_MISSING"
    DOCKERFILE_PRESENT = "DOCKERFILE_PRESENT"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    UNSAFE_PICKLE = "UNSAFE_PICKLE"
    UNKNOWN_PICKLE = "UNKNOWN_PICKLE"
    NOT_SCANNED = "NOT_SCANNED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    SIGNATURE_UNTRUSTED = "SIGNATURE_UNTRUSTED"
    SIGNATURE_MISSING = "SIGNATURE_MISSING"
    SIGNED_CONFIG_REPLACED = "SIGNED_CONFIG_REPLACED"
    # What an import runs into.
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    STORE_DENIED = "STORE_DENIED"
    STORE_FULL = "STORE_FULL"
    SOURCE_CHANGED = "SOURCE_CHANGED"
    RUNTIME_UNAVAILABLE = "RUNTIME_UNAVAILABLE"
    RUNTIME_SUBSTITUTED = "RUNTIME_SUBSTITUTED"
    BATCH_INPUTS_MISSING = "BATCH_INPUTS_MISSING"
    BUILD_FAILED = "BUILD_FAILED"
    IMPORT_CANCELLED = "IMPORT_CANCELLED"
    ARTIFACT_DRIFT = "ARTIFACT_DRIFT"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Refusal(Exception):
    """What one thing in a request is refused for."""

    def __init__(self, code: ErrorCode, message: str, *, path: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = tuple(path)
        self.hint = hint


class AlreadyExists(Refusal):
    def __init__(
        self, message: str, *, path: Sequence[str], next_version: str | None = None, hint: str | None = None
    ) -> None:
        usual = f"The next free version is {next_version}." if next_version else "Choose another name."
        super().__init__(ErrorCode.ALREADY_EXISTS, message, path=path, hint=hint or usual)
        self.next_version = next_version


class RevisionConflict(Refusal):
    def __init__(self, expected_revision: int, actual_revision: int) -> None:
        super().__init__(
            ErrorCode.CONFLICT,
            f"It was changed in the meantime: its revision is {actual_revision}, not {expected_revision}.",
            path=["expectedRevision"],
            hint="Read it again, then decide whether to repeat the request with the revision you read.",
        )
        self.expected_revision = expected_revision
        self.actual_revision = actual_revision


class AliasMoved(Refusal):
    """A version is None where the alias points at nothing."""

    def __init__(self, expected_version: str | None, actual_version: str | None) -> None:
        super().__init__(
            ErrorCode.ALIAS_MOVED,
            f"The alias points at {actual_version or 'nothing'}, not at {expected_version or 'nothing'}.",
            path=["expectedVersion"],
            hint="Decide with what it points at now.",
        )
        self.expected_version = expected_version
        self.actual_version = actual_version


class VersionUserKind(StrEnum):
    SERVICE = "SERVICE"
    MARKET_LISTING = "MARKET_LISTING"
    ALIAS = "ALIAS"


@dataclass(frozen=True, slots=True)
class VersionUser:
    """What relies on a version of a model."""

    kind: VersionUserKind
    id: UUID
    name: str
    version: str


class InUse(Refusal):
    def __init__(self, message: str, users: Sequence[VersionUser], *, path: Sequence[str], hint: str) -> None:
        super().__init__(ErrorCode.IN_USE, message, path=path, hint=hint)
        self.users = tuple(users)


class PackageRefusal(Refusal):
    """A problem of a config or a package that a request itself shows."""

    def __init__(self, problem: Problem, *, path: Sequence[str]) -> None:
        super().__init__(ErrorCode(problem.code.value), problem.message, path=path, hint=problem.hint)
        self.problem = problem


class UnsupportedByEngine(Refusal):
    def __init__(self, message: str, *, engine: str, field: str, path: Sequence[str] = ()) -> None:
        super().__init__(ErrorCode.UNSUPPORTED_BY_ENGINE, message, path=path)
        self.engine = engine
        self.field = field


class Refusals(Exception):
    """Everything that a request is refused for."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(refusal.message for refusal in refusals))
        self.refusals = tuple(refusals)


class SignInRefused(Exception):
    """The request's token or workspace was not accepted."""


class UnknownToken(SignInRefused):
    """No token, or one that is not known here."""


class UnknownWorkspace(SignInRefused):
    """The token is not good for the workspace that was asked for, or several are and none was picked."""


def not_found(what: str, *, path: Sequence[str], hint: str | None = None) -> Refusal:
    """`what` names the thing in full: "a service named x"."""
    return Refusal(ErrorCode.NOT_FOUND, f"There is no {what} in this workspace.", path=path, hint=hint)


def invalid(message: str, *, path: Sequence[str], hint: str | None = None) -> Refusal:
    return Refusal(ErrorCode.INVALID_INPUT, message, path=path, hint=hint)


def revision_violations(expected: int | None, actual: int) -> Iterator[Refusal]:
    """What stands against a change by whoever read another revision; nobody need name one."""
    if expected is not None and expected != actual:
        yield RevisionConflict(expected, actual)


async def along_with(refusals: Sequence[Refusal], look_up: Awaitable[Found]) -> Found:
    """What a look-up finds. Where that is refused, Refusals tell everything else that is wrong, too."""
    try:
        return await look_up
    except Refusal as refusal:
        raise Refusals([*refusals, refusal]) from refusal
    except Refusals as refused:
        raise Refusals([*refusals, *refused.refusals]) from refused


def raise_all(refusals: Sequence[Refusal]) -> None:
    """Raise what there is, all of it, or return."""
    if refusals:
        raise Refusals(refusals)
