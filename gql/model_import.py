"""Asking for imports."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.api_operation import ApiOperationInput
from gql.context import Info
from gql.dependency import DependencyInput, read_dependencies
from gql.model_source import ModelSourceInput
from gql.model_version import ModelVersion, ModelVersionName
from gql.scalar import BigInt
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers import model
from resolvers.deployment_type import DeploymentType
from resolvers.import_request import Document, ImportRequest, MinimumSpecification, RetryRequest


@strawberry.input(description="A document that explains the model.")
class ModelDocumentInput:
    name: str = strawberry.field(description="1 to 48 characters: first a letter, then also digits, - and _.")
    url: str = strawberry.field(description="A link that begins with http:// or https://.")

    def read(self) -> Document:
        return Document(self.name, self.url)


@strawberry.input(description="The least that an instance of the version needs.")
class MinimumInferenceSpecificationInput:
    cpu_count: float | None = strawberry.field(default=None, description="Processors.")
    memory_bytes: BigInt | None = strawberry.field(default=None, description="Memory, in bytes.")
    gpu_count: float | None = strawberry.field(default=None, description="GPUs.")
    ascend_count: int | None = strawberry.field(default=None, description="Ascend processors.")

    def read(self) -> MinimumSpecification:
        return MinimumSpecification(self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count)


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
    apis: list[ApiOperationInput] | None = strawberry.field(
        default=None, description="How it is asked, in place of the package's own `apis`."
    )
    config: str | None = strawberry.field(
        default=None,
        description="The text of a config.json, in place of the package's, as edited online. The fields above win.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> ImportRequest:
        minimum = self.minimum_inference_specification
        return ImportRequest(
            name=self.name,
            version=self.version,
            description=self.description,
            labels=self.labels or [],
            documents=[document.read() for document in self.documents or ()],
            source=self.source.read(),
            deployment_types=self.deployment_types,
            minimum_specification=minimum.read() if minimum else None,
            config=self.config,
            apis=None if self.apis is None else [api.read() for api in self.apis],
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

    def read(self) -> RetryRequest:
        return RetryRequest(
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
