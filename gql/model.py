"""Models, and asking for imports."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import strawberry

from gql.connection import Connection
from gql.context import Info
from gql.dependency import DependencyInput, read_dependencies
from gql.described_enum import described_enum
from gql.filter import OrderDirection, name_restriction, order_choice, order_direction
from gql.identifier import Prefix
from gql.mapping import BY_NAME, BY_VERSION_NUMBER, OLDEST_ID, stored
from gql.model_version import ModelVersion, ModelVersionName
from gql.node import Node
from gql.scalar import BigInt
from gql.stored_field import by_key, newest, to_many
from gql.user_error import UserError, outcome
from resolvers import model
from resolvers.model import DeploymentType


@stored("model", prefix=Prefix.MODEL)
@strawberry.federation.type(description="A model: all versions that were imported under one name.", keys=["id", "name"])
class Model(Node):
    name: str = strawberry.field(description="Its name, unique in the workspace.")
    revision: int = strawberry.field(description="Counts its changes.")
    next_version: str | None = strawberry.field(
        description="The number that the next import gets if it names none; null after 99.99.99."
    )
    version_count: int = strawberry.field(description="How many versions were ever imported, failed ones too.")
    created_at: datetime = strawberry.field(description="When its first version was imported.")
    created_by: str | None = strawberry.field(description="The token that imported the first version.")
    latest_version: ModelVersion | None = newest(
        "model_id", BY_VERSION_NUMBER, view="normal_model_version", description="The highest version that is NORMAL."
    )
    versions: Connection[ModelVersion] = to_many(
        "model_id", BY_VERSION_NUMBER, description="Its versions, the highest first."
    )


@strawberry.input(one_of=True, description="Which model: by its id, or by its name.")
class ModelBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The model's id.")
    name: strawberry.Maybe[str] = strawberry.field(description="The model's name.")


@strawberry.input(description="Which models.")
class ModelFilter:
    name_starts_with: str | None = name_restriction()


class ModelOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


described_enum(
    ModelOrderField,
    description="What models can be ordered by.",
    values={"CREATED_AT": "When its first version was imported.", "NAME": "Its name, by code points."},
)


@strawberry.input(description="In which order.")
class ModelOrder:
    field: ModelOrderField = order_choice({ModelOrderField.CREATED_AT: OLDEST_ID, ModelOrderField.NAME: BY_NAME})
    direction: OrderDirection = order_direction()


@strawberry.input(description="A document that explains the model.")
class ModelDocumentInput:
    name: str = strawberry.field(description="1 to 48 characters: first a letter, then also digits, - and _.")
    url: str = strawberry.field(description="A link that begins with http:// or https://.")


@strawberry.input(description="A version of a training job, to import what it left in storage.")
class TrainingJobSourceInput:
    training_job_name: str = strawberry.field(description="The job.")
    version_name: str = strawberry.field(description="The version, such as V0001. It must have COMPLETED.")


@strawberry.input(one_of=True, description="Where to import from: exactly one of these.")
class ModelSourceInput:
    training_job: strawberry.Maybe[TrainingJobSourceInput] = strawberry.field(
        description="The output of a training job."
    )


@strawberry.input(description="The least that an instance of the version needs.")
class MinimumInferenceSpecificationInput:
    cpu_count: float | None = strawberry.field(default=None, description="Processors.")
    memory_bytes: BigInt | None = strawberry.field(default=None, description="Memory, in bytes.")
    gpu_count: float | None = strawberry.field(default=None, description="GPUs.")
    ascend_count: int | None = strawberry.field(default=None, description="Ascend processors.")

    def read(self) -> model.MinimumSpecification:
        return model.MinimumSpecification(self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count)


@strawberry.input(description="A version to import.")
class ImportModelInput:
    name: str = strawberry.field(
        description="The model, made where it is new: 1 to 64 letters, Chinese characters, digits, - and _."
    )
    source: ModelSourceInput = strawberry.field(description="Where to import from.")
    version: str | None = strawberry.field(
        default=None,
        description="Three numbers from 0 to 99. If left out, the highest ever used plus one patch; 0.0.1 at first.",
    )
    description: str | None = strawberry.field(
        default=None, description="What the version is about, up to 1,000 characters."
    )
    labels: list[str] | None = strawberry.field(default=None, description="At most five labels.")
    documents: list[ModelDocumentInput] | None = strawberry.field(default=None, description="At most three documents.")
    deployment_types: list[DeploymentType] | None = strawberry.field(
        default=None, description="What it may be deployed as; if left out, all that the package can serve."
    )
    minimum_inference_specification: MinimumInferenceSpecificationInput | None = strawberry.field(
        default=None, description="The least that an instance needs."
    )
    runtime: str | None = strawberry.field(
        default=None, description="A runtime of this installation, in place of the one that the package asks for."
    )
    dependencies: list[DependencyInput] | None = strawberry.field(
        default=None, description="The libraries that it needs, in place of the package's own list."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model.ImportRequest:
        assert self.source.training_job is not None
        source = self.source.training_job.value
        minimum = self.minimum_inference_specification
        return model.ImportRequest(
            name=self.name,
            version=self.version,
            description=self.description,
            labels=self.labels or [],
            documents=[model.Document(document.name, document.url) for document in self.documents or ()],
            training_job_name=source.training_job_name,
            training_job_version_name=source.version_name,
            deployment_types=self.deployment_types,
            minimum_specification=minimum.read() if minimum else None,
            runtime=self.runtime,
            dependencies=read_dependencies(self.dependencies),
        )


@strawberry.type(description="What importModel did.")
class ImportModelPayload:
    model_version: ModelVersion | None = by_key(
        "version_id", description="The new version, IMPORTING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def import_model(
    info: Info, input: Annotated[ImportModelInput, strawberry.argument(description="The version.")]
) -> ImportModelPayload:
    context = info.context
    version_id, errors = await outcome(
        model.import_model(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return ImportModelPayload(version_id=version_id, errors=errors)


@strawberry.input(description="A version whose import failed, to be tried again under its number.")
class RetryImportInput:
    model_version: ModelVersionName = strawberry.field(description="The version.")
    runtime: str | None = strawberry.field(
        default=None, description="A runtime of this installation, in place of the one that the package asks for."
    )
    dependencies: list[DependencyInput] | None = strawberry.field(
        default=None, description="The libraries that it needs, in place of the package's own list."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model.RetryRequest:
        return model.RetryRequest(
            self.model_version.model_name,
            self.model_version.version,
            self.runtime,
            read_dependencies(self.dependencies),
            self.expected_revision,
        )


@strawberry.type(description="What retryImport did.")
class RetryImportPayload:
    model_version: ModelVersion | None = by_key("version_id", description="The version, IMPORTING again, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def retry_import(
    info: Info, input: Annotated[RetryImportInput, strawberry.argument(description="Which version.")]
) -> RetryImportPayload:
    context = info.context
    version_id, errors = await outcome(
        model.retry_import(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return RetryImportPayload(version_id=version_id, errors=errors)
