"""Edge services: one version of a model that answers on nodes elsewhere, with or without this server."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from asyncpg import Record

from db import edge_deployment, edge_node, model_version, operation, service, service_configuration
from db.service import NewTarget
from db.service_configuration import NewConfiguration
from resolvers import field_rule, resource_pool
from resolvers.caller import Caller
from resolvers.deployment import Deployment, deployed
from resolvers.deployment_type import DeploymentType
from resolvers.errors import (
    AlreadyExists,
    Refusal,
    Refusals,
    UnsupportedByEngine,
    invalid,
    not_found,
    raise_all,
)
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.service import CHANGE_SETTINGS, UPDATE, check_allowed, check_limit, held
from resolvers.service_configuration import ask_for, targets_of
from resolvers.service_settings import describe
from resolvers.service_target import ResolvedTarget, Target, resolve_target, target_violations
from resolvers.transaction import Transaction

NODES = 1_000
TARGET_PATH = ("target",)


@dataclass(frozen=True, slots=True)
class DeployRequest:
    name: str
    description: str | None
    target: Target
    nodes: Sequence[str]


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """None leaves the target, the nodes or the description as they are; an empty description takes it away."""

    service_name: str
    target: Target | None
    nodes: Sequence[str] | None
    description: str | None
    expected_revision: int | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A target and nodes as they are stored."""

    target: NewTarget
    node_ids: Sequence[UUID]
    warnings: Sequence[Refusal]


async def deploy_edge(
    installation: Installation, caller: Caller, request: DeployRequest, *, idempotency_key: str | None
) -> Deployment:
    """Ask for an edge service, DEPLOYING from now on. Raises Refusals."""
    refusals = [
        *field_rule.name(request.name, path=["name"]),
        *_description_violations(installation, request.description),
        *target_violations(request.target, path=TARGET_PATH),
        *_nodes_violations(request.nodes),
    ]

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await _insert(installation, unit, request, refusals, warnings)

    return await deployed(
        installation, caller, deed, mutation="deployEdgeService", request=request, idempotency_key=idempotency_key
    )


async def update_edge(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> Deployment:
    """Change what an edge service runs, on which nodes, what is said of it. Raises Refusals."""
    refusals = _description_violations(installation, request.description)
    if request.target is not None:
        refusals += target_violations(request.target, path=TARGET_PATH)
    if request.nodes is not None:
        refusals += _nodes_violations(request.nodes)

    async def deed(unit: Transaction, warnings: list[Refusal]) -> UUID:
        return await _update(installation, unit, request, refusals, warnings)

    return await deployed(
        installation, caller, deed, mutation="updateEdgeService", request=request, idempotency_key=idempotency_key
    )


async def _insert(
    installation: Installation,
    unit: Transaction,
    request: DeployRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    resolved = await _resolve(installation, unit, request.target, request.nodes, refusals)
    await check_limit(installation, unit, DeploymentType.EDGE)
    pool = await resource_pool.chosen(unit, None, path=[])
    service_id = await service.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=request.description,
        deployment_type=DeploymentType.EDGE,
        resource_pool_id=pool["id"],
        created_by=unit.actor,
    )
    if service_id is None:
        raise AlreadyExists(f"There is a service named {request.name!r} already.", path=["name"])
    first = NewConfiguration(1, "DEPLOY", [resolved.target])
    await service_configuration.insert(unit.connection, unit.workspace_id, service_id, first, unit.actor)
    await _name_nodes(unit, service_id, 1, resolved.node_ids)
    unit.record("SERVICE_DEPLOY_REQUESTED", service_id, name=request.name)
    await operation.insert(unit.connection, unit.workspace_id, OperationKind.DEPLOY_SERVICE, service_id, unit.actor)
    await service.notify(unit.connection, service_id)
    warnings += resolved.warnings
    return service_id


async def _update(
    installation: Installation,
    unit: Transaction,
    request: UpdateRequest,
    refusals: Sequence[Refusal],
    warnings: list[Refusal],
) -> UUID:
    row = await held(unit, request.service_name, request.expected_revision, deployment_type=DeploymentType.EDGE)
    is_described = request.target is None and request.nodes is None
    check_allowed(CHANGE_SETTINGS if is_described else UPDATE, row)
    if is_described:
        raise_all(refusals)
        if await describe(unit, row, request.description):
            await service.revise(unit.connection, unit.workspace_id, row["id"])
    else:
        resolved = await _changed(installation, unit, request, row, refusals)
        await describe(unit, row, request.description)
        await ask_for(unit, UPDATE, row, [resolved.target])
        await _name_nodes(unit, row["id"], row["last_configuration_number"] + 1, resolved.node_ids)
        warnings += resolved.warnings
    service_id: UUID = row["id"]
    return service_id


async def _changed(
    installation: Installation, unit: Transaction, request: UpdateRequest, row: Record, refusals: Sequence[Refusal]
) -> Resolved:
    """The target and the nodes, each as it was where the request leaves it out. Raises Refusals."""
    names = await _names_now(unit, row) if request.nodes is None else request.nodes
    (now,) = await targets_of(unit, row, row["last_configuration_number"])
    if request.target is None:
        version = await model_version.find(unit.connection, unit.workspace_id, now.model_version_id)
        return Resolved(now, await _node_ids(unit, names, version, refusals), ())
    resolved = await _resolve(installation, unit, request.target, names, refusals)
    if resolved.target.model_version_id != now.model_version_id:
        return resolved
    # What is the same in all else goes on running.
    return replace(resolved, target=replace(resolved.target, generation=now.generation))


async def _names_now(unit: Transaction, row: Record) -> list[str]:
    """The nodes that the configuration which is wanted now names."""
    number = row["last_configuration_number"]
    nodes = await edge_node.hold_named(unit.connection, unit.workspace_id, row["id"], number)
    return sorted(node["name"] for node in nodes)


async def _resolve(
    installation: Installation,
    unit: Transaction,
    target: Target,
    names: Sequence[str],
    refusals: Sequence[Refusal],
) -> Resolved:
    refused = list(refusals)
    found: ResolvedTarget | None = None
    try:
        found = await resolve_target(
            installation, unit, target, deployment_type=DeploymentType.EDGE, pool=None, path=TARGET_PATH
        )
    except Refusals as refusals_of_target:
        refused += refusals_of_target.refusals
    node_ids = await _node_ids(unit, names, found.version if found else None, refused)
    assert found is not None
    return Resolved(found.row, node_ids, found.warnings)


async def _node_ids(
    unit: Transaction, names: Sequence[str], version: Record | None, refusals: Sequence[Refusal]
) -> list[UUID]:
    """The nodes of these names, which stay till the end of the transaction. Raises Refusals, with all others."""
    nodes = {node["name"]: node for node in await edge_node.hold_by_names(unit.connection, unit.workspace_id, names)}
    refused = list(refusals)
    for position, name in enumerate(names):
        path = ["nodes", str(position)]
        if name not in nodes:
            refused.append(not_found(f"edge node named {name!r}", path=path))
        elif version is not None and nodes[name]["runtime"] not in (None, version["runtime"]):
            refused.append(_other_runtime(nodes[name], version, path))
    raise_all(refused)
    return [nodes[name]["id"] for name in names]


async def _name_nodes(unit: Transaction, service_id: UUID, number: int, node_ids: Sequence[UUID]) -> None:
    await edge_deployment.name_nodes(unit.connection, unit.workspace_id, service_id, number, node_ids)
    await edge_deployment.settle(unit.connection, unit.workspace_id, service_id)


def _nodes_violations(names: Sequence[str]) -> list[Refusal]:
    refusals = []
    if not 1 <= len(names) <= NODES:
        refusals.append(invalid(f"An edge service runs on 1 to {NODES} nodes.", path=["nodes"]))
    for position, name in enumerate(names):
        if name in names[:position]:
            refusals.append(invalid(f"The node {name!r} is given twice.", path=["nodes", str(position)]))
    return refusals


def _description_violations(installation: Installation, description: str | None) -> list[Refusal]:
    is_strict = installation.rules.is_strict
    return list(field_rule.description(description, is_strict=is_strict, path=["description"]))


def _other_runtime(node: Record, version: Record, path: Sequence[str]) -> Refusal:
    return UnsupportedByEngine(
        f"{version['model_name']} {version['version']} runs on {version['runtime']}; "
        f"the node {node['name']} has {node['runtime']}.",
        engine="edge",
        field="runtime",
        path=path,
    )
