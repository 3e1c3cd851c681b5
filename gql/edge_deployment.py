"""Services on edge nodes: how each is on each, and starting and stopping it there."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.described_enum import described_enum
from gql.edge_node import EdgeNode
from gql.mapping import stored
from gql.scalar import URL
from gql.service import StartServiceInput
from gql.stored_field import by_key, to_one
from gql.user_error import UserError, outcome
from resolvers import edge_deployment
from resolvers.service import ServiceDesiredState

if TYPE_CHECKING:
    from gql.edge_service import EdgeService


class EdgeDeploymentState(StrEnum):
    PENDING = "PENDING"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    NOT_READY = "NOT_READY"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


described_enum(
    EdgeDeploymentState,
    description="How a service is on a node, as the node said last.",
    values={
        "PENDING": "The node has not begun with it.",
        "PREPARING": "The node fetches the model's files, verifies them, and builds their environment.",
        "RUNNING": "It answers predictions there.",
        "NOT_READY": "Its instance is starting.",
        "STOPPED": "It is stopped there.",
        "FAILED": "It does not answer there, and `reason` says why. The node tries again now and then.",
    },
)


class EdgeDesiredState(StrEnum):
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


described_enum(
    EdgeDesiredState,
    description="What a service is to be on a node.",
    values={"RUNNING": "It is to run there.", "STOPPED": "It is to rest there, whatever it does elsewhere."},
)


@stored("edge_deployment")
@strawberry.type(description="A service on an edge node.")
class EdgeDeployment:
    edge_node: EdgeNode = to_one("edge_node_id", view="any_edge_node", description="The node.")
    service: Annotated["EdgeService", strawberry.lazy("gql.edge_service")] = to_one(
        "service_id", view="any_service", description="The service."
    )
    desired_state: EdgeDesiredState = strawberry.field(description="What it is to be there while the service runs.")
    state: EdgeDeploymentState = strawberry.field(description="How it is there, as the node said last.")
    reason: str | None = strawberry.field(description="Why the configuration that is wanted does not run there.")
    address: URL | None = strawberry.field(
        description="Where it answers predictions, on the node's network: whoever reaches it needs no token."
    )
    configuration_number: int | None = strawberry.field(
        description="The configuration that answers there; null where none does."
    )
    reported_at: datetime | None = strawberry.field(description="When the node last said something new of it.")


@strawberry.input(description="A service that is to run on one of its nodes again.")
class StartEdgeDeploymentInput(StartServiceInput):
    node_name: str = strawberry.field(description="The node.")

    def read(self, desired_state: ServiceDesiredState) -> edge_deployment.NodeRequest:
        return edge_deployment.NodeRequest(self.service_name, self.node_name, desired_state, self.expected_revision)


@strawberry.input(description="A service that is to rest on one of its nodes.")
class StopEdgeDeploymentInput(StartEdgeDeploymentInput):
    pass


@strawberry.type(description="What startEdgeDeployment did.")
class StartEdgeDeploymentPayload:
    service: Annotated["EdgeService", strawberry.lazy("gql.edge_service")] | None = by_key(
        "service_id", view="any_service", description="The service, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What stopEdgeDeployment did.")
class StopEdgeDeploymentPayload:
    service: Annotated["EdgeService", strawberry.lazy("gql.edge_service")] | None = by_key(
        "service_id", view="any_service", description="The service, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def start_edge_deployment(
    info: Info, input: Annotated[StartEdgeDeploymentInput, strawberry.argument(description="Which service, and where.")]
) -> StartEdgeDeploymentPayload:
    service_id, errors = await _want(info, input, ServiceDesiredState.RUNNING)
    return StartEdgeDeploymentPayload(errors=errors, service_id=service_id)


async def stop_edge_deployment(
    info: Info, input: Annotated[StopEdgeDeploymentInput, strawberry.argument(description="Which service, and where.")]
) -> StopEdgeDeploymentPayload:
    service_id, errors = await _want(info, input, ServiceDesiredState.STOPPED)
    return StopEdgeDeploymentPayload(errors=errors, service_id=service_id)


async def _want(
    info: Info, input: StartEdgeDeploymentInput, desired_state: ServiceDesiredState
) -> tuple[UUID | None, list[UserError]]:
    return await outcome(
        edge_deployment.want_on_node(
            info.context.installation,
            info.context.caller,
            input.read(desired_state),
            idempotency_key=input.idempotency_key,
        )
    )
