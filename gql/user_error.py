"""What is the caller's to mend, as data in payloads and on versions."""

from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import TypeVar

import strawberry

from gql.described_enum import described_enum
from gql.identifier import Prefix, encode
from resolvers.errors import (
    AliasMoved,
    AlreadyExists,
    ErrorCode,
    InUse,
    PackageRefusal,
    Refusal,
    Refusals,
    RevisionConflict,
    UnsupportedByEngine,
    VersionUser,
    VersionUserKind,
)

Answer = TypeVar("Answer")

PREFIXES: Mapping[VersionUserKind, Prefix] = MappingProxyType(
    {VersionUserKind.SERVICE: Prefix.SERVICE, VersionUserKind.MARKET_LISTING: Prefix.MARKET_LISTING}
)
CODES = {
    "INVALID_INPUT": "A value breaks a rule for its field; the message names the rule.",
    "NOT_FOUND": "What the input names does not exist in this workspace.",
    "ALREADY_EXISTS": "The name or version number is in use, or was used once.",
    "CONFLICT": "Somebody changed it since you read it.",
    "ALIAS_MOVED": "The alias does not point at the version that was expected.",
    "IDEMPOTENCY_KEY_REUSED": "The idempotency key belongs to another request.",
    "INVALID_STATE": "It is in a state in which this cannot be asked of it.",
    "IN_USE": "Something relies on what was to be deleted; the error names all of it.",
    "MODEL_SUBSCRIBED": "The model is subscribed to in the market: it is its publisher's to change.",
    "OWN_LISTING": "This workspace published it, and cannot subscribe to it.",
    "RESTORE_EXPIRED": "The time in which the model or version could be restored is over.",
    "UNSUPPORTED_BY_ENGINE": "The engine of this installation cannot do that.",
    "TRAINING_JOB_NOT_COMPLETED": "Only a training job version that completed can be imported.",
    "REGION_MISMATCH": "The training job's output lies in another region than this installation.",
    "OUTPUT_EMPTY": "The training job's output holds nothing to import.",
    "ARM_UNSUPPORTED": "An Arm version imports neither from training jobs nor from object storage.",
    "TEMPLATE_MODE_FIXED": "The template has an input and output mode of its own and takes no other.",
    "LOCATION_REFUSED": "The workspace was not granted this place in storage.",
    "LOCATION_READ_ONLY": "The place was granted for reading; nothing can be uploaded to it.",
    "UPLOAD_EXPIRED": "The upload's time is over.",
    "UPLOAD_INCOMPLETE": "Parts of an upload are missing or have another size than announced.",
    "MODEL_VERSION_NOT_READY": "Only a NORMAL version can be deployed or published.",
    "DEPLOYMENT_TYPE_NOT_CHOSEN": "This deployment type was not chosen when the version was imported.",
    "INSUFFICIENT_CAPACITY": "The resource pool is too small, or would be.",
    "BELOW_MINIMUM_SPECIFICATION": "Instances get less than the version's minimum.",
    "LIMIT_REACHED": "The workspace has as many of these as it may.",
    "SERVICE_NOT_RUNNING": "No instance of the service is ready.",
    "PREDICTION_FAILED": "The service answered the prediction with an error.",
    "INPUT_EMPTY": "There is no input below the place that a batch service is to read.",
    "MANIFEST_INVALID": "A line of a batch service's manifest names no input that can be read; the line is told.",
    "OUTPUT_NOT_EMPTY": "Something lies already where a batch service is to write.",
    "OUTPUT_IN_USE": "Another batch service writes there, or it is where this one reads.",
    "INPUT_UNREADABLE": "An input of a batch service cannot be read, or is not of the kind that it takes.",
    "INSTANCE_LOST": "Instances ended, or were too busy, each time that they were asked.",
    "MODEL_DIRECTORY_MISSING": "The output holds no `model` directory.",
    "CONFIG_MISSING": "The package holds no config.json.",
    "CONFIG_NOT_UNIQUE": "The package holds more than one config.json.",
    "CONFIG_NOT_JSON": "config.json is not JSON; line and column are told.",
    "CONFIG_INVALID": "config.json holds a wrong value; a JSON pointer says where.",
    "CONFIG_UNKNOWN_KEY": "config.json holds a key that is not known or is misspelt.",
    "CONFIG_DOUBTFUL_VALUE": "config.json holds a value that was read as something else.",
    "CONFIG_LEFT_OUT": "The package's config.json is left out: the template brings its own.",
    "MODEL_FILE_MISSING": "The engine's model file is not in the package.",
    "MODEL_FILE_NOT_UNIQUE": "Several files could be the model.",
    "MODEL_FILE_EMPTY": "The model file has no bytes.",
    "MODEL_FILE_MISPLACED": "The model lies in a folder of its own, and is served from there.",
    "FILE_TOO_LARGE": "A file is larger than this installation takes.",
    "FILE_PATH_INVALID": "A file's path cannot be used.",
    "INFERENCE_CODE_MISSING": "The engine needs a customize_service.py, and the package holds none.",
    "INFERENCE_CODE_NOT_UNIQUE": "The package holds more than one customize_service.py.",
    "INFERENCE_CODE_INVALID": "customize_service.py is not Python; line and column are told.",
    "INFERENCE_CODE_DOUBTFUL": "customize_service.py may not run here, or not with this engine.",
    "WHEEL_MISSING": "A wheel that config.json names does not lie beside the model.",
    "DOCKERFILE_PRESENT": "The package holds a Dockerfile, which a model directory may not.",
    "UNSUPPORTED_FORMAT": "The package's form or a file's format cannot be imported.",
    "UNSAFE_PICKLE": "A pickle names something that runs code when it is loaded.",
    "UNKNOWN_PICKLE": "A pickle names classes that are not known to be harmless.",
    "NOT_SCANNED": "A file may hold pickles and could not be read to its end.",
    "SIGNATURE_INVALID": "The package's signature is broken, or is one of other files.",
    "SIGNATURE_UNTRUSTED": "The package is signed by nobody that this installation trusts.",
    "SIGNED_CONFIG_REPLACED": "The signature holds, and the importer put something in the signed config's place.",
    "SIGNATURE_MISSING": "The package is not signed, and this installation takes signed ones only.",
    "STORE_UNAVAILABLE": "The object store did not answer.",
    "STORE_DENIED": "The object store refused this server.",
    "STORE_FULL": "The object store has no room left.",
    "SOURCE_CHANGED": "The output was written to while it was imported.",
    "RUNTIME_UNAVAILABLE": "This installation does not have the runtime that is asked for.",
    "RUNTIME_SUBSTITUTED": "The version gets another runtime than its package asks for, as was chosen.",
    "BATCH_INPUTS_MISSING": "A batch service needs declared input parameters, and the config has none.",
    "BUILD_FAILED": "The environment of the model could not be built.",
    "IMPORT_CANCELLED": "The import was cancelled, or its version was deleted meanwhile.",
    "ARTIFACT_DRIFT": "Stored bytes are not the ones that were imported.",
    "INTERNAL_ERROR": "It failed for a reason of the server's own; its log tells more.",
}
described_enum(
    ErrorCode, description="What kind of mistake or failure it is; docs/errors.md says what to do.", values=CODES
)
described_enum(
    VersionUserKind,
    name="ModelVersionUserKind",
    description="What can rely on a version of a model.",
    values={
        "SERVICE": "A service whose configuration in force names it, running or not.",
        "MARKET_LISTING": "Its listing in the market.",
        "ALIAS": "An alias that points at it.",
    },
)


@strawberry.interface(
    description="What is wrong and can be mended by whoever asked. All of a request's errors are told at once."
)
class UserError:
    code: ErrorCode = strawberry.field(description="What kind of error it is, for programs.")
    message: str = strawberry.field(description="What is wrong, in one sentence, for people.")
    path: list[str] | None = strawberry.field(description="Where in the input: names of fields and positions in lists.")
    hint: str | None = strawberry.field(description="What to do about it.")


@strawberry.type(description="A value in the input, or the state of what it names, does not allow the request.")
class InputError(UserError):
    pass


@strawberry.type(description="The name or the version number is taken.")
class AlreadyExistsError(UserError):
    next_version: str | None = strawberry.field(
        description="The next version number that is free, where a version was taken."
    )


@strawberry.type(description="The object has another revision than the request expected.")
class ConflictError(UserError):
    expected_revision: int = strawberry.field(description="The revision that the request named.")
    actual_revision: int = strawberry.field(description="The revision that the object has.")


@strawberry.type(description="The alias points elsewhere than the request expected.")
class AliasMovedError(UserError):
    expected_version: str | None = strawberry.field(
        description="The version that the request named; null where it expected none."
    )
    actual_version: str | None = strawberry.field(
        description="The version that the alias points at; null where it points at none."
    )


@strawberry.type(description="The engine of this installation cannot honour what was asked.")
class UnsupportedByEngineError(UserError):
    engine: str = strawberry.field(description="The engine's name.")
    field: str = strawberry.field(description="What it cannot honour.")


@strawberry.type(description="What relies on a version of a model.")
class ModelVersionUser:
    kind: VersionUserKind = strawberry.field(description="What it is.")
    name: str = strawberry.field(description="Its name.")
    id: strawberry.ID | None = strawberry.field(description="Its id; an alias has none.")
    version: str = strawberry.field(description="The version that it relies on.")

    @classmethod
    def of(cls, user: VersionUser) -> "ModelVersionUser":
        prefix = PREFIXES.get(user.kind)
        identifier = strawberry.ID(encode(prefix, user.id)) if prefix else None
        return cls(kind=user.kind, name=user.name, id=identifier, version=user.version)


@strawberry.type(description="Something relies on what was to be deleted.")
class InUseError(UserError):
    users: list[ModelVersionUser] = strawberry.field(description="All that rely on it.")


@strawberry.type(description="Something in a model package, or on the way to importing it.")
class PackageProblem(UserError):
    file: str | None = strawberry.field(description="The file, relative to the model directory.")
    pointer: str | None = strawberry.field(description="The place in a JSON file, as a JSON pointer (RFC 6901).")
    expected: str | None = strawberry.field(description="What would have been right.")
    actual: str | None = strawberry.field(description="What was found.")


ERROR_TYPES = (
    InputError,
    AlreadyExistsError,
    ConflictError,
    AliasMovedError,
    InUseError,
    UnsupportedByEngineError,
    PackageProblem,
)


async def outcome(act: Awaitable[Answer]) -> tuple[Answer | None, list[UserError]]:
    """What a mutation answers: its object, or everything that it was refused for."""
    try:
        return await act, []
    except Refusal as refusal:
        return None, [user_error(refusal)]
    except Refusals as refusals:
        return None, [user_error(refusal) for refusal in refusals.refusals]


def user_error(refusal: Refusal) -> UserError:
    code, message, hint = refusal.code, refusal.message, refusal.hint
    path = list(refusal.path) or None
    match refusal:
        case AlreadyExists():
            return AlreadyExistsError(
                code=code, message=message, path=path, hint=hint, next_version=refusal.next_version
            )
        case RevisionConflict():
            return ConflictError(
                code=code,
                message=message,
                path=path,
                hint=hint,
                expected_revision=refusal.expected_revision,
                actual_revision=refusal.actual_revision,
            )
        case AliasMoved():
            return AliasMovedError(
                code=code,
                message=message,
                path=path,
                hint=hint,
                expected_version=refusal.expected_version,
                actual_version=refusal.actual_version,
            )
        case InUse():
            users = [ModelVersionUser.of(user) for user in refusal.users]
            return InUseError(code=code, message=message, path=path, hint=hint, users=users)
        case PackageRefusal():
            found = refusal.problem
            return PackageProblem(
                code=code,
                message=message,
                path=path,
                hint=hint,
                file=found.file,
                pointer=found.pointer,
                expected=found.expected,
                actual=found.actual,
            )
        case UnsupportedByEngine():
            return UnsupportedByEngineError(
                code=code, message=message, path=path, hint=hint, engine=refusal.engine, field=refusal.field
            )
    return InputError(code=code, message=message, path=path, hint=hint)
