"""Versions of models: imported, checked, fingerprinted, ready to be deployed."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

from artifacts.ai_engine import AiEngine
from db.reading import Comparison
from gql.api_operation import ApiOperation
from gql.audit_event import AuditEvent
from gql.background_operation import BackgroundOperation
from gql.bad_input import Unmatchable
from gql.connection import Connection
from gql.context import Context
from gql.dependency import Dependency
from gql.described_enum import described_enum
from gql.environment_build import EnvironmentBuild
from gql.filter import (
    OrderDirection,
    Restriction,
    created_after,
    created_before,
    order_choice,
    order_direction,
    restriction,
)
from gql.health_check import HealthCheck
from gql.identifier import Prefix
from gql.mapping import BY_ID, BY_PATH, BY_SIZE, NEWEST_NUMBER, OLDEST_ID, stored
from gql.model_file import ModelFile
from gql.node import Node
from gql.scalar import URL, BigInt
from gql.storage_location import StorageLocation
from gql.stored_field import computed, embedded, inline, newest, to_many, to_one
from gql.training_job import TrainingJobVersion
from gql.user_error import PackageProblem, UserError, user_error
from resolvers.download import file_url
from resolvers.model import DeploymentType
from resolvers.service import Deployable, deployment_blockers

if TYPE_CHECKING:
    from gql.model import Model
    from gql.service import Service


class ModelVersionStatus(StrEnum):
    IMPORTING = "IMPORTING"
    BUILDING = "BUILDING"
    NORMAL = "NORMAL"
    IMPORT_FAILED = "IMPORT_FAILED"
    BUILD_FAILED = "BUILD_FAILED"


class ModelOrigin(StrEnum):
    BUILT_IN_ALGORITHM = "BUILT_IN_ALGORITHM"
    CUSTOM_ALGORITHM = "CUSTOM_ALGORITHM"
    MARKET = "MARKET"


described_enum(
    ModelVersionStatus,
    description="How far a version is.",
    values={
        "IMPORTING": "Its package is being checked, fingerprinted and copied.",
        "BUILDING": "Its environment is being built.",
        "NORMAL": "It is imported and can be deployed.",
        "IMPORT_FAILED": "Its package was refused or could not be read; `problems` say why.",
        "BUILD_FAILED": "Its environment could not be built; `problems` and the build's log say why.",
    },
)
described_enum(
    ModelOrigin,
    description="Where a model comes from.",
    values={
        "BUILT_IN_ALGORITHM": "A built-in algorithm trained it.",
        "CUSTOM_ALGORITHM": "A program or an image of the user's trained it.",
        "MARKET": "It was subscribed to in the market.",
    },
)
described_enum(
    DeploymentType,
    description="What a version can be deployed as.",
    values={
        "REAL_TIME": "A real-time service: it answers predictions one by one.",
        "BATCH": "A batch service: it works through a folder of inputs and ends.",
        "EDGE": "An edge service: it answers on machines of its own.",
    },
)


@strawberry.type(description="A document that explains the model.")
class ModelDocument:
    name: str = strawberry.field(description="What the document is called.")
    url: URL = strawberry.field(description="Where it can be read.")


@strawberry.type(description="The version came from the output of a training job.")
class TrainingJobSource:
    location: StorageLocation | None = inline(
        "source_", present="key", description="The model directory that was imported, once it was found."
    )
    training_job_version: TrainingJobVersion = to_one(
        "training_job_version_id", description="The training job version."
    )


ModelSource: TypeAlias = Annotated[
    TrainingJobSource, strawberry.union("ModelSource", description="Where a version was imported from.")
]


async def _inference_code_url(context: Context, path: str, sha256: str) -> URL:
    return URL(await file_url(context.installation, path, sha256))


@strawberry.type(description="The code that answers predictions.")
class InferenceCode:
    path: str = strawberry.field(description="The file, relative to the model directory.")
    location: StorageLocation = inline("", description="Where it was imported from.")
    url: URL = computed(_inference_code_url, description="Opens the imported copy; good for an hour.")


@strawberry.type(description="The least that an instance of the version needs.")
class MinimumInferenceSpecification:
    cpu_count: float | None = strawberry.field(description="Processors.")
    memory_bytes: BigInt | None = strawberry.field(description="Memory, in bytes.")
    gpu_count: float | None = strawberry.field(description="GPUs.")
    ascend_count: int | None = strawberry.field(description="Ascend processors.")


@strawberry.type(description="How good the model was in its evaluation.")
class ModelMetrics:
    f1: float | None = strawberry.field(description="The F1 score.")
    recall: float | None = strawberry.field(description="The recall.")
    precision: float | None = strawberry.field(description="The precision.")
    accuracy: float | None = strawberry.field(description="The accuracy.")


def _deployable_as(context: Context, version: Deployable) -> list[DeploymentType]:
    kinds = [DeploymentType(kind) for kind in version.deployment_types]
    return [kind for kind in kinds if not deployment_blockers(context.installation, version, kind)]


def _deployment_blockers(context: Context, version: Deployable) -> list[UserError]:
    kinds = [DeploymentType(kind) for kind in version.deployment_types] or [DeploymentType.REAL_TIME]
    blockers = [blocker for kind in kinds for blocker in deployment_blockers(context.installation, version, kind)]
    return [user_error(blocker) for blocker in {blocker.message: blocker for blocker in blockers}.values()]


@stored("model_version", prefix=Prefix.MODEL_VERSION)
@strawberry.federation.type(
    description="A version of a model. What is not known yet, or was never found, is null.",
    keys=["id", "modelName version"],
)
class ModelVersion(Node):
    model_name: str = strawberry.field(description="The model's name.")
    version: str = strawberry.field(description="The version's number, such as 0.0.1; never used twice.")
    status: ModelVersionStatus = strawberry.field(description="How far it is.")
    revision: int = strawberry.field(description="Counts its changes.")
    problems: list[UserError] = embedded(
        "problems", type=PackageProblem, description="Why its import failed: everything at once."
    )
    warnings: list[UserError] = embedded(
        "warnings", type=PackageProblem, description="What was doubtful and let through."
    )
    description: str | None = strawberry.field(description="What it is about.")
    labels: list[str] = strawberry.field(description="Its labels.")
    documents: list[ModelDocument] = embedded("documents", description="Documents that explain it.")
    source: ModelSource = inline("", type_column="source_type", description="Where it was imported from.")
    origin: ModelOrigin = strawberry.field(description="Where it comes from.")
    ai_engine: AiEngine | None = strawberry.field(description="What it was made with.")
    algorithm: str | None = strawberry.field(
        description="What it does, as its config says: image_classification and so on."
    )
    requested_runtime: str | None = strawberry.field(description="The runtime that the package asks for.")
    runtime: str | None = strawberry.field(
        description="The runtime that it gets; null where there is none for its engine."
    )
    deployment_types: list[DeploymentType] = strawberry.field(
        description="What it may be deployed as: chosen at its import, or all that the package can serve."
    )
    apis: list[ApiOperation] = embedded("apis", description="How it is asked: its input and output parameters.")
    dependencies: list[Dependency] = embedded(
        "dependencies", description="The libraries that it needs, in the order of installation."
    )
    minimum_inference_specification: MinimumInferenceSpecification | None = inline(
        "minimum_", present="amount", description="The least that an instance needs, as chosen at the import."
    )
    metrics: ModelMetrics | None = embedded(
        "metrics", description="The training job's evaluation, or what the config says."
    )
    health_check: HealthCheck | None = embedded(
        "health_check", description="How it says that it is well; of images only."
    )
    config: str | None = strawberry.field(
        description="The config in force: the package's, with the importer's choices."
    )
    size_bytes: BigInt | None = strawberry.field(description="The size of the whole package.")
    digest: str | None = strawberry.field(
        description="SHA-256 over the files' SHA-256 in the order of their paths, as OpenSSF model signing has it."
    )
    created_at: datetime = strawberry.field(description="When its import was asked for.")
    created_by: str | None = strawberry.field(description="The token that asked for it.")
    model: Annotated["Model", strawberry.lazy("gql.model")] = to_one(
        "model_id", description="The model that it is a version of."
    )
    operation: BackgroundOperation | None = newest(
        "subject_id", BY_ID, description="The newest operation on it: its import."
    )
    deployable_as: list[DeploymentType] = computed(
        _deployable_as, description="What it can be deployed as now, on this installation's engine."
    )
    deployment_blockers: list[UserError] = computed(
        _deployment_blockers, description="Why it cannot be deployed as some of its types."
    )
    inference_code: InferenceCode | None = inline(
        "inference_code_",
        present="sha256",
        description="The code that answers predictions; null where the package holds none.",
    )
    files: Connection[ModelFile] = to_many(
        "model_version_id", BY_PATH, description="Its files, in the order of their paths."
    )
    build: EnvironmentBuild | None = newest(
        "model_version_id", BY_ID, description="The newest build of its environment; null where none was needed."
    )
    services: Connection[Annotated["Service", strawberry.lazy("gql.service")]] = to_many(
        "model_version_id", view="service_of_model_version", description="The services that run it."
    )
    audit_events: Connection[AuditEvent] = to_many(
        "subject_id", NEWEST_NUMBER, description="What happened to it, the newest first."
    )


@strawberry.input(description="A version by its model's name and its number.")
class ModelVersionName:
    model_name: str = strawberry.field(description="The model's name.")
    version: str = strawberry.field(description="The version's number, such as 0.0.1.")


@strawberry.input(one_of=True, description="Which version: by its id, or by name and number.")
class ModelVersionBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The version's id.")
    name: strawberry.Maybe[ModelVersionName] = strawberry.field(
        description="The model's name and the version's number."
    )


def _digest(given: str, _context: Context) -> bytes:
    try:
        return bytes.fromhex(given)
    except ValueError as error:
        raise Unmatchable from error


@strawberry.input(description="Which versions.")
class ModelVersionFilter:
    status: list[ModelVersionStatus] | None = restriction(
        Restriction("status"), description="Only those in one of these states."
    )
    model_name: str | None = restriction(
        Restriction("model_id", named_in="model"), description="Only those of this model."
    )
    ai_engine: list[AiEngine] | None = restriction(
        Restriction("ai_engine"), description="Only those made with one of these."
    )
    label: str | None = restriction(
        Restriction("labels", comparison=Comparison.CONTAINS), description="Only those with this label."
    )
    digest: str | None = restriction(
        Restriction("digest_bytes", "bytea", read=_digest), description="Only those of this digest, in hexadecimal."
    )
    training_job_name: str | None = restriction(
        Restriction("training_job_name"), description="Only those that came from this training job."
    )
    created_after: datetime | None = created_after()
    created_before: datetime | None = created_before()


class ModelVersionOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    SIZE_BYTES = "SIZE_BYTES"


described_enum(
    ModelVersionOrderField,
    description="What versions can be ordered by.",
    values={
        "CREATED_AT": "When its import was asked for.",
        "SIZE_BYTES": "The size of its package; one that is not known counts as 0.",
    },
)


@strawberry.input(description="In which order.")
class ModelVersionOrder:
    field: ModelVersionOrderField = order_choice(
        {ModelVersionOrderField.CREATED_AT: OLDEST_ID, ModelVersionOrderField.SIZE_BYTES: BY_SIZE}
    )
    direction: OrderDirection = order_direction()
