"""Versions of models: imported, checked, fingerprinted, ready to be deployed."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import strawberry

from artifacts.ai_engine import AiEngine
from gql.api_operation import ApiOperation
from gql.audit_event import AuditEvent
from gql.background_operation import BackgroundOperation
from gql.connection import Connection
from gql.container import Container
from gql.context import Context
from gql.dependency import Dependency
from gql.described_enum import described_enum
from gql.environment_build import EnvironmentBuild
from gql.health_check import HealthCheck
from gql.identifier import Prefix
from gql.integrity import IntegrityReport
from gql.mapping import BY_ID, BY_NAME, BY_PATH, NEWEST_NUMBER, stored
from gql.model_file import ModelFile, ModelFileFilter, ScanReport
from gql.model_metrics import ModelMetrics
from gql.model_source import ModelSource
from gql.node import Node
from gql.provenance import Provenance
from gql.scalar import URL, BigInt
from gql.storage_location import StorageLocation
from gql.stored_field import computed, embedded, inline, newest, rows, to_many, to_one
from gql.user_error import PackageProblem, UserError, user_error
from resolvers.deployment_blocker import Deployable, deployment_blockers
from resolvers.deployment_type import DeploymentType
from resolvers.download import file_url

if TYPE_CHECKING:
    from gql.market_listing import MarketListing
    from gql.model import Model
    from gql.model_alias import ModelAlias
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


async def _inference_code_url(context: Context, path: str, sha256: str) -> URL:
    return URL(await file_url(context.installation, path, sha256))


@strawberry.type(description="The code that answers predictions.")
class InferenceCode:
    path: str = strawberry.field(description="The file, relative to the model directory.")
    location: StorageLocation | None = inline(
        "", present="key", description="Where it was imported from; null where it came from the market."
    )
    url: URL = computed(_inference_code_url, description="Opens the imported copy; good for an hour.")


@strawberry.type(description="The least that an instance of the version needs.")
class MinimumInferenceSpecification:
    cpu_count: float | None = strawberry.field(description="Processors.")
    memory_bytes: BigInt | None = strawberry.field(description="Memory, in bytes.")
    gpu_count: float | None = strawberry.field(description="GPUs.")
    ascend_count: int | None = strawberry.field(description="Ascend processors.")


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
    is_runtime_chosen: bool = strawberry.field(
        description="Whether its importer named the runtime, whatever the package asks for."
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
    container: Container | None = embedded("container", description="How it is started and reached; of images only.")
    config: str | None = strawberry.field(
        description="The config in force: the package's, with the importer's choices."
    )
    size_bytes: BigInt | None = strawberry.field(description="The size of the whole package.")
    digest: str | None = strawberry.field(
        description="SHA-256 over the files' SHA-256 in the order of their paths, as OpenSSF model signing has it."
    )
    provenance: Provenance | None = embedded(
        "provenance", description="Who signed its package; null where it holds no signature."
    )
    created_at: datetime = strawberry.field(description="When its import was asked for.")
    created_by: str | None = strawberry.field(description="The token that asked for it.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted; null while it is not.")
    deleted_by: str | None = strawberry.field(description="The token that deleted it.")
    restorable_until: datetime | None = strawberry.field(
        name="restoreExpiresAt",
        description="Until when restoreModelVersion brings it back; null while it is not deleted.",
    )
    model: Annotated["Model", strawberry.lazy("gql.model")] = to_one(
        "model_id", view="any_model", description="The model that it is a version of."
    )
    aliases: list[Annotated["ModelAlias", strawberry.lazy("gql.model_alias")]] = rows(
        "model_version_id", BY_NAME, description="The names that point at it now."
    )
    operation: BackgroundOperation | None = newest(
        "subject_id", BY_ID, description="The newest operation on it: its import, or a verification since."
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
        "model_version_id", BY_PATH, filter=ModelFileFilter, description="Its files, in the order of their paths."
    )
    scan: ScanReport | None = embedded(
        "scan", description="What the reading of its pickles found; null until its files are copied."
    )
    integrity: IntegrityReport | None = embedded(
        "integrity", description="What verifyModelVersion found last; null where it was never asked for."
    )
    is_publishable: bool = strawberry.field(
        description="Whether it can be published in the market: it is NORMAL, this workspace's own, and not there yet."
    )
    market_listing: Annotated["MarketListing", strawberry.lazy("gql.market_listing")] | None = newest(
        "model_version_id", BY_ID, description="What the market shows of it; null where it is not published."
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
