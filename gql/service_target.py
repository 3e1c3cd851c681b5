"""The versions that a service runs, and the instances of each."""

from datetime import datetime
from enum import StrEnum

import strawberry

from gql.context import Context
from gql.described_enum import described_enum
from gql.identifier import Prefix
from gql.inference_specification import InferenceSpecification
from gql.mapping import BY_NUMBER, stored
from gql.model_version import ModelVersion, ModelVersionName
from gql.stored_field import computed, embedded, rows, to_one
from resolvers import inference_specification, service_target


class ServiceInstanceState(StrEnum):
    STARTING = "STARTING"
    READY = "READY"
    EXITED = "EXITED"


described_enum(
    ServiceInstanceState,
    description="How an instance is.",
    values={
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
    number: int = strawberry.field(description="Counts from 1 in its target.")
    state: ServiceInstanceState = strawberry.field(description="How it is.")
    reason: str | None = strawberry.field(description="Why it ended, where it did.")
    attempts: int = strawberry.field(description="How often it was started since it last ran well.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is started again, where it ended.")
    ready_at: datetime | None = strawberry.field(description="Since when it answers.")


def _inference_specification(_context: Context, inference_specification_name: str) -> InferenceSpecification:
    found = inference_specification.find(inference_specification_name)
    return InferenceSpecification.of(found or inference_specification.DEFAULT)


@stored("service_target")
@strawberry.type(description="A version that a service runs, and how.")
class ServiceTarget:
    weight: int = strawberry.field(description="Its share of the predictions, in percent.")
    inference_specification: InferenceSpecification = computed(
        _inference_specification, description="The size of its instances."
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
        description="The size of its instances, from inferenceSpecifications; modelarts.vm.cpu.2u if left out.",
    )
    instance_count: int = strawberry.field(default=1, description="How many instances, 1 to 20.")
    environment: list[EnvironmentVariableInput] | None = strawberry.field(
        default=None, description="Variables in its instances' environment."
    )

    def read(self) -> service_target.Target:
        return service_target.Target(
            self.model_version.model_name,
            self.model_version.version,
            self.weight,
            self.inference_specification,
            self.instance_count,
            [service_target.EnvironmentVariable(variable.name, variable.value) for variable in self.environment or ()],
        )
