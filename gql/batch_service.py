"""Batch services: versions that are asked for every input in storage once."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from gql.batch_run import BatchMapping, BatchOutput, BatchRun, BatchSource
from gql.connection import Connection
from gql.context import Info
from gql.identifier import Prefix
from gql.inference_specification import CustomInferenceSpecificationInput
from gql.mapping import BY_ID, BY_POSITION, NEWEST_NUMBER, stored
from gql.model_version import ModelVersionName
from gql.service import Service, warnings_of
from gql.service_target import EnvironmentVariableInput, ServiceTarget
from gql.storage_location import StorageLocationInput
from gql.stored_field import by_key, newest, to_many
from gql.user_error import UserError, outcome
from resolvers import batch_service, service_target
from resolvers.batch_configuration import BatchInputKind
from resolvers.batch_request import BatchInput, BatchRequest, FileMapping, RuleMapping
from resolvers.installation import DEFAULT_STORE
from resolvers.location import Location


@stored("service", prefix=Prefix.SERVICE, type_column="type_name")
@strawberry.federation.type(
    description="A service that asks its model for every input in storage, and then has finished.", keys=["id", "name"]
)
class BatchService(Service):
    target: ServiceTarget = newest("service_id", BY_POSITION, description="The version that it runs.")
    input: BatchSource = newest("service_id", BY_ID, description="What it reads.")
    output: BatchOutput = newest("service_id", BY_ID, description="Where it writes.")
    mapping: BatchMapping = newest("service_id", BY_ID, description="How inputs become requests.")
    run: BatchRun | None = newest("service_id", NEWEST_NUMBER, description="Its newest run.")
    runs: Connection[BatchRun] = to_many(
        "service_id", NEWEST_NUMBER, description="Its runs, the newest first: one for each start after an end."
    )


@strawberry.input(description="The version that a batch service runs, and how.")
class BatchTargetInput:
    model_version: ModelVersionName = strawberry.field(
        description="The version. It must be NORMAL, and have been imported for BATCH."
    )
    inference_specification: str | None = strawberry.field(
        default=None,
        description="The size of its instances, from inferenceSpecifications; modelarts.vm.cpu.2u if left out.",
    )
    custom_inference_specification: CustomInferenceSpecificationInput | None = strawberry.field(
        default=None,
        description="A size of one's own, in dedicated pools only, in the place of inferenceSpecification.",
    )
    instance_count: int = strawberry.field(default=1, description="How many instances, 1 to 20.")
    environment: list[EnvironmentVariableInput] | None = strawberry.field(
        default=None, description="Variables in its instances' environment."
    )

    def read(self) -> service_target.Target:
        custom = self.custom_inference_specification
        return service_target.Target(
            self.model_version.model_name,
            self.model_version.version,
            100,
            self.inference_specification,
            self.instance_count,
            [service_target.EnvironmentVariable(variable.name, variable.value) for variable in self.environment or ()],
            custom.read() if custom else None,
        )


@strawberry.input(description="What a batch service is to read.")
class BatchSourceInput:
    key: str = strawberry.field(description="A folder; or, for a manifest, an object whose name ends with .manifest.")
    store: str | None = strawberry.field(
        default=None, description="A configured store's name; the default one if left out."
    )
    kind: BatchInputKind = strawberry.field(
        default=BatchInputKind.PREFIX, description="Whether the key is a folder or a manifest."
    )

    def read(self) -> BatchInput:
        return BatchInput(Location(self.store or DEFAULT_STORE, self.key), self.kind)


@strawberry.input(description="One request for each file: its bytes are one parameter.")
class FileMappingInput:
    parameter: str | None = strawberry.field(
        default=None, description="The API's only parameter, of type file; there is no need to name it."
    )


@strawberry.input(description="One request for each row of CSV files.")
class CsvMappingInput:
    rule: JSON = strawberry.field(
        description="The API's request schema with an index, 0 for the first column, in each of its values. "
        "A value without one, or with -1, is left out of the requests."
    )


@strawberry.input(one_of=True, description="How inputs become requests.")
class BatchMappingInput:
    file: strawberry.Maybe[FileMappingInput] = strawberry.field(description="One request for each file.")
    csv: strawberry.Maybe[CsvMappingInput] = strawberry.field(description="One request for each row of CSV files.")

    def read(self) -> FileMapping | RuleMapping:
        if self.csv is not None:
            return RuleMapping(self.csv.value.rule)
        assert self.file is not None
        return FileMapping(self.file.value.parameter)


API_PATH = "The path of the version's API to ask; its only one, or /, if left out."
MAX_CONCURRENCY = "How many requests are sent at once, 1 to 64; 4 for each instance if left out."
OUTPUT = "The folder to write results to: empty, the workspace's own, and no other batch service's."


@strawberry.input(description="A batch service to deploy.")
class DeployBatchServiceInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    target: BatchTargetInput = strawberry.field(description="The version to run.")
    input: BatchSourceInput = strawberry.field(description="What to read.")
    output: StorageLocationInput = strawberry.field(description=OUTPUT)
    mapping: BatchMappingInput = strawberry.field(description="How inputs become requests.")
    api_path: str | None = strawberry.field(default=None, description=API_PATH)
    max_concurrency: int | None = strawberry.field(default=None, description=MAX_CONCURRENCY)
    description: str | None = strawberry.field(default=None, description="What the service is about.")
    resource_pool: str | None = strawberry.field(
        default=None, description="The resource pool that it runs in; the shared one if left out."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> batch_service.DeployBatchRequest:
        return batch_service.DeployBatchRequest(self.name, self.description, self.resource_pool, _request(self))


@strawberry.input(description="What to change of a batch service that is at rest. What is left out stays.")
class UpdateBatchServiceInput:
    service_name: str = strawberry.field(description="The service. It must be STOPPED, FINISHED or FAILED.")
    target: BatchTargetInput | None = strawberry.field(default=None, description="The version to run.")
    input: BatchSourceInput | None = strawberry.field(default=None, description="What to read.")
    output: StorageLocationInput | None = strawberry.field(default=None, description=OUTPUT)
    mapping: BatchMappingInput | None = strawberry.field(default=None, description="How inputs become requests.")
    api_path: str | None = strawberry.field(default=None, description="The path of the version's API to ask.")
    max_concurrency: int | None = strawberry.field(
        default=None, description="How many requests are sent at once, 1 to 64."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is about; null clears it.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> batch_service.UpdateBatchRequest:
        description = None if self.description is None else self.description.value or ""
        return batch_service.UpdateBatchRequest(self.service_name, _request(self), self.expected_revision, description)


def _request(given: DeployBatchServiceInput | UpdateBatchServiceInput) -> BatchRequest:
    return BatchRequest(
        given.target.read() if given.target else None,
        given.input.read() if given.input else None,
        given.output.read() if given.output else None,
        given.api_path,
        given.mapping.read() if given.mapping else None,
        given.max_concurrency,
    )


@strawberry.type(description="What deployBatchService did.")
class DeployBatchServicePayload:
    service: BatchService | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    warnings: list[UserError] = strawberry.field(description="What is doubtful and was done nevertheless.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What updateBatchService did.")
class UpdateBatchServicePayload:
    service: BatchService | None = by_key(
        "service_id", view="any_service", description="The service, STOPPED until startService runs it anew, or null."
    )
    warnings: list[UserError] = strawberry.field(description="What is doubtful and was done nevertheless.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def deploy_batch_service(
    info: Info, input: Annotated[DeployBatchServiceInput, strawberry.argument(description="The service.")]
) -> DeployBatchServicePayload:
    context = info.context
    done, errors = await outcome(
        batch_service.deploy_batch(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeployBatchServicePayload(
        service_id=done.service_id if done else None, warnings=warnings_of(done), errors=errors
    )


async def update_batch_service(
    info: Info, input: Annotated[UpdateBatchServiceInput, strawberry.argument(description="The changes.")]
) -> UpdateBatchServicePayload:
    context = info.context
    done, errors = await outcome(
        batch_service.update_batch(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return UpdateBatchServicePayload(
        service_id=done.service_id if done else None, warnings=warnings_of(done), errors=errors
    )
