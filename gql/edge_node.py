"""Edge nodes: machines elsewhere that run services."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from engines.engine import IsolationLevel
from gql.audit_event import AuditEvent
from gql.connection import Connection
from gql.context import Context, Info
from gql.described_enum import described_enum
from gql.filter import OrderDirection, Restriction, name_restriction, order_choice, order_direction, restriction
from gql.identifier import Prefix
from gql.mapping import BY_NAME, NEWEST_NUMBER, OLDEST_ID, stored
from gql.node import Node
from gql.scalar import BigInt
from gql.stored_field import by_key, to_many
from gql.user_error import UserError, outcome
from resolvers import edge_node

if TYPE_CHECKING:
    from gql.edge_deployment import EdgeDeployment

AGENT_PATH = "/edge/agent.pyz"


class EdgeNodeStatus(StrEnum):
    REGISTERED = "REGISTERED"
    RUNNING = "RUNNING"
    UNCONNECTED = "UNCONNECTED"
    FAILED = "FAILED"


described_enum(
    EdgeNodeStatus,
    description="How an edge node is.",
    values={
        "REGISTERED": "Its agent has not reported yet.",
        "RUNNING": "Its agent reports.",
        "UNCONNECTED": "Its agent has not reported for a while. What it runs it may go on running.",
        "FAILED": "Its agent reports, and can run nothing; statusMessage says why.",
    },
)


@stored("edge_node", prefix=Prefix.EDGE_NODE)
@strawberry.type(description="A machine elsewhere that runs edge services, by an agent that this server hands out.")
class EdgeNode(Node):
    name: str = strawberry.field(description="Its name, unique among the workspace's nodes.")
    description: str | None = strawberry.field(description="What it is about.")
    status: EdgeNodeStatus = strawberry.field(description="How it is.")
    status_message: str | None = strawberry.field(description="Why it can run nothing, where it cannot.")
    last_seen_at: datetime | None = strawberry.field(description="When its agent last reported.")
    architecture: str | None = strawberry.field(description="What processors it has, such as x86_64.")
    runtime: str | None = strawberry.field(description="The interpreter that its agent has, such as python3.11.")
    agent_version: str | None = strawberry.field(description="Which agent it runs.")
    isolation: IsolationLevel | None = strawberry.field(
        description="How far it keeps package code from the rest of the machine."
    )
    cpu_count: float | None = strawberry.field(description="How many processors it has.")
    memory_bytes: BigInt | None = strawberry.field(description="How much memory it has.")
    revision: int = strawberry.field(description="Counts its changes.")
    created_at: datetime = strawberry.field(description="When it was registered.")
    created_by: str = strawberry.field(description="The token that registered it.")
    deployments: Connection[Annotated["EdgeDeployment", strawberry.lazy("gql.edge_deployment")]] = to_many(
        "edge_node_id", OLDEST_ID, description="The services that it is to have, the oldest first."
    )
    audit_events: Connection[AuditEvent] = to_many(
        "subject_id", NEWEST_NUMBER, description="What happened to it, the newest first."
    )


@strawberry.input(one_of=True, description="Which node: by its id, or by its name.")
class EdgeNodeBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The node's id.")
    name: strawberry.Maybe[str] = strawberry.field(description="The node's name.")


@strawberry.input(description="Which nodes.")
class EdgeNodeFilter:
    status: list[EdgeNodeStatus] | None = restriction(
        Restriction("status"), description="Only those in one of these states."
    )
    name_starts_with: str | None = name_restriction()


class EdgeNodeOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


described_enum(
    EdgeNodeOrderField,
    description="What nodes can be ordered by.",
    values={"CREATED_AT": "When it was registered.", "NAME": "Its name, by code points."},
)


@strawberry.input(description="In which order.")
class EdgeNodeOrder:
    field: EdgeNodeOrderField = order_choice(
        {EdgeNodeOrderField.CREATED_AT: OLDEST_ID, EdgeNodeOrderField.NAME: BY_NAME}
    )
    direction: OrderDirection = order_direction()


@strawberry.input(description="A node to register.")
class RegisterEdgeNodeInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    description: str | None = strawberry.field(default=None, description="What it is about.")
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="The same key with the same input gets the same node again, but never its token.",
    )


@strawberry.input(description="A node that is to have another token.")
class RenewEdgeNodeTokenInput:
    node_name: str = strawberry.field(description="The node.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again, without the token."
    )

    def read(self) -> edge_node.NodeRequest:
        return edge_node.NodeRequest(self.node_name, self.expected_revision)


@strawberry.input(description="A node to be forgotten.")
class DeleteEdgeNodeInput(RenewEdgeNodeTokenInput):
    pass


@strawberry.input(description="What is to be said of a node. What is left out stays.")
class UpdateEdgeNodeInput:
    node_name: str = strawberry.field(description="The node.")
    name: str | None = strawberry.field(default=None, description="Another name.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is about; null clears it.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> edge_node.UpdateRequest:
        description = None if self.description is None else self.description.value or ""
        return edge_node.UpdateRequest(self.node_name, self.expected_revision, self.name, description)


@strawberry.type(description="What registerEdgeNode did.")
class RegisterEdgeNodePayload:
    edge_node: EdgeNode | None = by_key("node_id", view="any_edge_node", description="The node, or null.")
    token: str | None = strawberry.field(
        description="What its agent signs in with: shown here and never again. Null where it was shown already."
    )
    install_command: str | None = strawberry.field(
        description="What to enter on the machine, which needs Python 3.11 or newer; it holds the token."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    node_id: strawberry.Private[UUID | None]


@strawberry.type(description="What renewEdgeNodeToken did.")
class RenewEdgeNodeTokenPayload:
    edge_node: EdgeNode | None = by_key("node_id", view="any_edge_node", description="The node, or null.")
    token: str | None = strawberry.field(
        description="What its agent signs in with from now on: shown here and never again. Null where it was shown "
        "already."
    )
    install_command: str | None = strawberry.field(
        description="What to enter on the machine, in the folder of the agent's data; it holds the token."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    node_id: strawberry.Private[UUID | None]


@strawberry.type(description="What updateEdgeNode did.")
class UpdateEdgeNodePayload:
    edge_node: EdgeNode | None = by_key("node_id", view="any_edge_node", description="The node, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    node_id: strawberry.Private[UUID | None]


@strawberry.type(description="What deleteEdgeNode did.")
class DeleteEdgeNodePayload:
    edge_node: EdgeNode | None = by_key("node_id", view="any_edge_node", description="The node as it was, or null.")
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    node_id: strawberry.Private[UUID | None]


async def register_edge_node(
    info: Info, input: Annotated[RegisterEdgeNodeInput, strawberry.argument(description="The node.")]
) -> RegisterEdgeNodePayload:
    context = info.context
    request = edge_node.RegisterRequest(input.name, input.description)
    registered, errors = await outcome(
        edge_node.register(context.installation, context.caller, request, idempotency_key=input.idempotency_key)
    )
    token = registered.token if registered else None
    return RegisterEdgeNodePayload(
        token=token,
        install_command=_install_command(context, token),
        errors=errors,
        node_id=registered.id if registered else None,
    )


async def renew_edge_node_token(
    info: Info, input: Annotated[RenewEdgeNodeTokenInput, strawberry.argument(description="Which node.")]
) -> RenewEdgeNodeTokenPayload:
    context = info.context
    renewed, errors = await outcome(
        edge_node.renew_token(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    token = renewed.token if renewed else None
    return RenewEdgeNodeTokenPayload(
        token=token,
        install_command=_install_command(context, token),
        errors=errors,
        node_id=renewed.id if renewed else None,
    )


async def update_edge_node(
    info: Info, input: Annotated[UpdateEdgeNodeInput, strawberry.argument(description="Which node, and what.")]
) -> UpdateEdgeNodePayload:
    context = info.context
    node_id, errors = await outcome(
        edge_node.update(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return UpdateEdgeNodePayload(errors=errors, node_id=node_id)


async def delete_edge_node(
    info: Info, input: Annotated[DeleteEdgeNodeInput, strawberry.argument(description="Which node.")]
) -> DeleteEdgeNodePayload:
    context = info.context
    node_id, errors = await outcome(
        edge_node.delete(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return DeleteEdgeNodePayload(errors=errors, node_id=node_id)


def _install_command(context: Context, token: str | None) -> str | None:
    if token is None:
        return None
    server = context.installation.rules.server_url
    return (
        f"curl -fsSLo agent.pyz {server}{AGENT_PATH} && "
        f"MODELYARD_EDGE_TOKEN={token} python3 agent.pyz --server {server} --data modelyard-edge"
    )
