"""One service on one of its nodes: started and stopped there, whatever it is to do on the others."""

from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import edge_deployment, edge_node, service
from resolvers.caller import Caller
from resolvers.deployment_type import DeploymentType
from resolvers.errors import ErrorCode, Refusal, not_found, raise_all
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.service import ServiceDesiredState, held
from resolvers.transaction import Transaction, transaction


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What a service is to do on one of its nodes."""

    service_name: str
    node_name: str
    desired_state: ServiceDesiredState
    expected_revision: int | None


async def want_on_node(
    installation: Installation, caller: Caller, request: NodeRequest, *, idempotency_key: str | None
) -> UUID:
    """Start a service on one of its nodes, or stop it there: the service's id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _want_on_node(unit, request)

        return await once(unit, mutation="edgeDeployment", key=idempotency_key, request=asdict(request), act=act)


async def hold_nodes(unit: Transaction, row: Record, number: int) -> None:
    """Hold the nodes that a configuration of an edge service names. Raises Refusals where some are deleted."""
    nodes = await edge_node.hold_named(unit.connection, unit.workspace_id, row["id"], number)
    path = ["configurationNumber"]
    gone = [node["name"] for node in nodes if node["deleted_at"] is not None]
    raise_all(
        [not_found(f"edge node {name!r} any more, which configuration {number} names", path=path) for name in gone]
    )


async def settle(unit: Transaction, row: Record) -> None:
    """Of an edge service: have a deployment for each node of the configuration that is wanted now, and no other."""
    if row["deployment_type"] == DeploymentType.EDGE:
        await edge_deployment.settle(unit.connection, unit.workspace_id, row["id"])


async def _want_on_node(unit: Transaction, request: NodeRequest) -> UUID:
    row = await held(unit, request.service_name, request.expected_revision, deployment_type=DeploymentType.EDGE)
    nodes = await edge_deployment.of_service(unit.connection, unit.workspace_id, row["id"])
    node = next((node for node in nodes if node["node_name"] == request.node_name), None)
    if node is None:
        named = ", ".join(node["node_name"] for node in nodes)
        what = f"edge node named {request.node_name!r} that the service {row['name']!r} runs on"
        raise not_found(what, path=["nodeName"], hint=f"It runs on: {named}.")
    _check_node(row, node, request.desired_state)
    await edge_deployment.want(
        unit.connection, unit.workspace_id, row["id"], node["edge_node_id"], request.desired_state
    )
    await service.revise(unit.connection, unit.workspace_id, row["id"])
    verb = "START" if request.desired_state is ServiceDesiredState.RUNNING else "STOP"
    unit.record(f"EDGE_DEPLOYMENT_{verb}_REQUESTED", row["id"], name=row["name"], node=request.node_name)
    await service.notify(unit.connection, row["id"])
    service_id: UUID = row["id"]
    return service_id


def _check_node(row: Record, node: Record, desired_state: ServiceDesiredState) -> None:
    """Only what runs can be stopped, and what is stopped be started (modelarts: edge nodes' status). Raises Refusal."""
    if row["desired_state"] != ServiceDesiredState.RUNNING:
        message = f"The service is {row['status']}; one of its nodes is started or stopped while it is to run."
        raise Refusal(ErrorCode.INVALID_STATE, message, path=["serviceName"], hint="startService starts all of them.")
    if node["desired_state"] == desired_state:
        is_running = desired_state is ServiceDesiredState.RUNNING
        message = f"It is to {'run' if is_running else 'rest'} on {node['node_name']} already."
        raise Refusal(ErrorCode.INVALID_STATE, message, path=["nodeName"])
