"""The versions that a service runs, and the instances of each."""

from datetime import datetime
from enum import StrEnum

import strawberry

from engines.engine import IsolationLevel
from gql.context import Context
from gql.described_enum import described_enum
from gql.identifier import Prefix
from gql.inference_specification import CustomInferenceSpecificationInput, InferenceSpecification
from gql.mapping import BY_NUMBER, stored
from gql.model_version import ModelVersion, ModelVersionName
from gql.stored_field import computed, embedded, rows, to_one
from resolvers import inference_specification, service_target


class ServiceInstanceState(StrEnum):
    PENDING = "PENDING"
    STARTING = "STARTING"
    READY = "READY"
    EXITED = "EXITED"


described_enum(
    ServiceInstanceState,
    description="How an instance is.",
    values={
        "PENDING": "It waits for a place in its service's resource pool; `reason` says what is missing.",
        "STARTING": "It loads its model.",
        "READY": "It answers predictions.",
        "EXITED": "It ended; it is started again after a while.",
    },
)


@strawberry.type(description="A variable in the environment of a target's instances.")
class EnvironmentVariable:
    name: str = strawberry.field(description="The variable's name.")
    value: str = strawberry.field(description="Its value. Not a place for secrets: whoever sees the service sees it.")


@stored("service_instance", prefix=Prefix.SERVICE_INSTANCE)
@strawberry.type(description="A process that runs a target's version.")
class ServiceInstance:
    id: strawberry.ID = strawberry.field(description="Opaque; log lines name it.")
    number: int = strawberry.field(description="Counts from 1 in its service, and is never used again.")
    state: ServiceInstanceState = strawberry.field(description="How it is.")
    reason: str | None = strawberry.field(
        description="Why it ended, with the last lines that it printed, or what it waits for."
    )
    attempts: int = strawberry.field(description="How often it was started since it last ran well.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is started again, where it ended.")
    placed_at: datetime | None = strawberry.field(description="Since when it has its place in the resource pool.")
    ready_at: datetime | None = strawberry.field(description="Since when it answers.")
    isolation: IsolationLevel | None = strawberry.field(
        description="How far its code is kept from the host, as it was when it was started."
    )


def _inference_specification(
    context: Context,
    inference_specification_name: str,
    cpu_count: float,
    memory_bytes: int,
    gpu_count: float,
    ascend_count: int,
) -> InferenceSpecification:
    size = inference_specification.as_chosen(
        inference_specification_name, cpu_count, memory_bytes, gpu_count, ascend_count
    )
    return InferenceSpecification.of(context, size)


@stored("service_target")
@strawberry.type(description="A version that a service runs, and how.")
class ServiceTarget:
    weight: int = strawberry.field(description="Its share of the predictions, in percent.")
    inference_specification: InferenceSpecification = computed(
        _inference_specification, description="The size of its instances, as it was when it was chosen."
    )
    instance_count: int = strawberry.field(description="How many instances it is to have.")
    environment: list[EnvironmentVariable] = embedded(
        "environment", description="Variables in its instances' environment."
    )
    model_version: ModelVersion = to_one("model_version_id", description="The version.")
    instances: list[ServiceInstance] = rows("service_target_id", BY_NUMBER, description="Its instances.")
    ready_instance_count: int = strawberry.field(description="How many of its instances answer predictions.")


@strawberry.input(description="A variable in the environment of a target's instances.")
class EnvironmentVariableInput:
    name: str = strawberry.field(description="Letters, digits and underscores, not first a digit.")
    value: str = strawberry.field(description="Its value. Not a place for secrets: whoever sees the service sees it.")


@strawberry.input(description="A version to run, and how.")
class ServiceTargetInput:
    model_version: ModelVersionName = strawberry.field(description="The version. It must be NORMAL.")
    weight: int = strawberry.field(
        default=100, description="Its share of the predictions, in percent; all add up to 100."
    )
    inference_specification: str | None = strawberry.field(
        default=None,
        description="The size of its instances, from inferenceSpecifications. If left out: in a dedicated pool the "
        "version's minimum, and where it has none, and elsewhere, modelarts.vm.cpu.2u.",
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
            self.weight,
            self.inference_specification,
            self.instance_count,
            [service_target.EnvironmentVariable(variable.name, variable.value) for variable in self.environment or ()],
            custom.read() if custom else None,
        )
