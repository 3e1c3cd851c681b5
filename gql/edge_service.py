"""Edge services: one version of a model that answers on machines elsewhere."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.edge_deployment import EdgeDeployment
from gql.identifier import Prefix
from gql.mapping import BY_NAME, BY_POSITION, stored
from gql.model_version import ModelVersionName
from gql.service import Service, warnings_of
from gql.service_target import EnvironmentVariableInput, ServiceTarget
from gql.stored_field import by_key, newest, rows
from gql.user_error import UserError, outcome
from resolvers import edge_service, service_target


@stored("service", prefix=Prefix.SERVICE, type_column="type_name")
@strawberry.federation.type(
    description="A service that answers predictions on edge nodes, with or without this server.", keys=["id", "name"]
)
class EdgeService(Service):
    target: ServiceTarget | None = newest(
        "service_id", BY_POSITION, description="The version that it is to run: that of the wanted configuration."
    )
    deployments: list[EdgeDeployment] = rows(
        "service_id", BY_NAME, description="How it is on each of its nodes, by their names."
    )


@strawberry.input(description="The version to run on edge nodes, and how.")
class EdgeServiceTargetInput:
    model_version: ModelVersionName = strawberry.field(description="The version. It must be NORMAL.")
    inference_specification: str | None = strawberry.field(
        default=None,
        description="The size of its instance on each node, from inferenceSpecifications; modelarts.vm.cpu.2u if left "
        "out. A node limits it where it can.",
    )
    environment: list[EnvironmentVariableInput] | None = strawberry.field(
        default=None, description="Variables in its instances' environment."
    )

    def read(self) -> service_target.Target:
        return service_target.Target(
            self.model_version.model_name,
            self.model_version.version,
            100,
            self.inference_specification,
            1,
            [service_target.EnvironmentVariable(variable.name, variable.value) for variable in self.environment or ()],
        )


@strawberry.input(description="An edge service to deploy.")
class DeployEdgeServiceInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    target: EdgeServiceTargetInput = strawberry.field(description="The version to run.")
    nodes: list[str] = strawberry.field(description="The names of the nodes to run it on, each once.")
    description: str | None = strawberry.field(default=None, description="What the service is about.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> edge_service.DeployRequest:
        return edge_service.DeployRequest(self.name, self.description, self.target.read(), self.nodes)


@strawberry.input(description="What is to be changed of an edge service. What is left out stays.")
class UpdateEdgeServiceInput:
    service_name: str = strawberry.field(description="The service.")
    target: EdgeServiceTargetInput | None = strawberry.field(
        default=None, description="The version to run. Where another one serves, it serves until this one is ready."
    )
    nodes: list[str] | None = strawberry.field(
        default=None, description="The names of all nodes to run it on; the others let go of it."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is about; null clears it.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> edge_service.UpdateRequest:
        target = self.target.read() if self.target else None
        description = None if self.description is None else self.description.value or ""
        return edge_service.UpdateRequest(self.service_name, target, self.nodes, description, self.expected_revision)


@strawberry.type(description="What deployEdgeService did.")
class DeployEdgeServicePayload:
    service: EdgeService | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    warnings: list[UserError] = strawberry.field(description="What whoever deploys should know.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What updateEdgeService did.")
class UpdateEdgeServicePayload:
    service: EdgeService | None = by_key("service_id", view="any_service", description="The service, or null.")
    warnings: list[UserError] = strawberry.field(description="What whoever deploys should know.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def deploy_edge_service(
    info: Info, input: Annotated[DeployEdgeServiceInput, strawberry.argument(description="The service.")]
) -> DeployEdgeServicePayload:
    context = info.context
    deployed, errors = await outcome(
        edge_service.deploy_edge(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeployEdgeServicePayload(
        warnings=warnings_of(deployed),
        errors=errors,
        service_id=deployed.service_id if deployed else None,
    )


async def update_edge_service(
    info: Info, input: Annotated[UpdateEdgeServiceInput, strawberry.argument(description="Which service, and what.")]
) -> UpdateEdgeServicePayload:
    context = info.context
    updated, errors = await outcome(
        edge_service.update_edge(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return UpdateEdgeServicePayload(
        warnings=warnings_of(updated),
        errors=errors,
        service_id=updated.service_id if updated else None,
    )
