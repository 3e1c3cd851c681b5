"""Edge nodes: machines elsewhere that run services, registered with a token that is shown once."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import edge_node
from resolvers import field_rule
from resolvers.caller import Caller
from resolvers.errors import AlreadyExists, ErrorCode, Refusal, not_found, raise_all, revision_violations
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

NAMED_SERVICES = 5


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    name: str
    description: str | None


@dataclass(frozen=True, slots=True)
class NodeRequest:
    node_name: str
    expected_revision: int | None


@dataclass(frozen=True, slots=True)
class UpdateRequest(NodeRequest):
    """None leaves the name or the description as it is; an empty description takes it away."""

    name: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Registered:
    """A node, and its token where it was made just now."""

    id: UUID
    token: str | None


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def register(
    installation: Installation, caller: Caller, request: RegisterRequest, *, idempotency_key: str | None
) -> Registered:
    """A new node. Whoever repeats the request is not shown the token again. Raises Refusals."""
    made: list[str] = []
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            made.append(_new_token())
            return await _register(installation, unit, request, made[0])

        asked = asdict(request)
        node_id = await once(unit, mutation="registerEdgeNode", key=idempotency_key, request=asked, act=act)
    return Registered(node_id, made[0] if made else None)


async def renew_token(
    installation: Installation, caller: Caller, request: NodeRequest, *, idempotency_key: str | None
) -> Registered:
    """Another token for a node; the earlier one is refused from now on. Raises Refusals."""
    made: list[str] = []
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            node = await _lock(unit, request)
            made.append(_new_token())
            await edge_node.renew_token(unit.connection, unit.workspace_id, node["id"], digest(made[0]))
            unit.record("EDGE_NODE_TOKEN_RENEWED", node["id"], name=node["name"])
            node_id: UUID = node["id"]
            return node_id

        asked = asdict(request)
        node_id = await once(unit, mutation="renewEdgeNodeToken", key=idempotency_key, request=asked, act=act)
    return Registered(node_id, made[0] if made else None)


async def update(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> UUID:
    """Change a node's name or description: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _update(installation, unit, request)

        return await once(unit, mutation="updateEdgeNode", key=idempotency_key, request=asdict(request), act=act)


async def delete(
    installation: Installation, caller: Caller, request: NodeRequest, *, idempotency_key: str | None
) -> UUID:
    """Forget a node that no service is to run on: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _delete(unit, request)

        return await once(unit, mutation="deleteEdgeNode", key=idempotency_key, request=asdict(request), act=act)


async def _register(installation: Installation, unit: Transaction, request: RegisterRequest, token: str) -> UUID:
    raise_all(list(_violations(installation, request.name, request.description)))
    node_id = await edge_node.insert(
        unit.connection,
        unit.workspace_id,
        name=request.name,
        description=request.description,
        token_sha256=digest(token),
        by=unit.actor,
    )
    if node_id is None:
        raise _taken(request.name)
    unit.record("EDGE_NODE_REGISTERED", node_id, name=request.name)
    return node_id


async def _update(installation: Installation, unit: Transaction, request: UpdateRequest) -> UUID:
    node = await _lock(unit, request)
    name = node["name"] if request.name is None else request.name
    description = node["description"] if request.description is None else request.description or None
    raise_all(list(_violations(installation, name, description)))
    node_id: UUID = node["id"]
    if (name, description) == (node["name"], node["description"]):
        return node_id
    if name != node["name"] and await edge_node.lock_by_name(unit.connection, unit.workspace_id, name):
        raise _taken(name)
    await edge_node.update(unit.connection, unit.workspace_id, node_id, name=name, description=description)
    unit.record("EDGE_NODE_UPDATED", node_id, name=name)
    return node_id


async def _delete(unit: Transaction, request: NodeRequest) -> UUID:
    node = await _lock(unit, request)
    services = await edge_node.users(unit.connection, unit.workspace_id, node["id"])
    if services:
        raise _in_use(services)
    await edge_node.delete(unit.connection, unit.workspace_id, node["id"])
    unit.record("EDGE_NODE_DELETED", node["id"], name=node["name"])
    node_id: UUID = node["id"]
    return node_id


async def _lock(unit: Transaction, request: NodeRequest) -> Record:
    node = await edge_node.lock_by_name(unit.connection, unit.workspace_id, request.node_name)
    if node is None:
        raise not_found(f"edge node named {request.node_name!r}", path=["nodeName"])
    raise_all(list(revision_violations(request.expected_revision, node["revision"])))
    return node


def _violations(installation: Installation, name: str, description: str | None) -> Iterator[Refusal]:
    yield from field_rule.name(name, path=["name"])
    yield from field_rule.description(description, is_strict=installation.rules.is_strict, path=["description"])


def _taken(name: str) -> Refusal:
    return AlreadyExists(f"There is an edge node named {name!r} already.", path=["name"])


def _in_use(services: list[str]) -> Refusal:
    named = ", ".join(repr(name) for name in services[:NAMED_SERVICES])
    more = f" and {len(services) - NAMED_SERVICES} more" if len(services) > NAMED_SERVICES else ""
    return Refusal(
        ErrorCode.IN_USE,
        f"It is a node of {'the service' if len(services) == 1 else 'the services'} {named}{more}.",
        path=["nodeName"],
        hint="Take it out of them by updateEdgeService, or delete them; then ask again.",
    )


def _new_token() -> str:
    """32 random bytes, as text that a shell leaves alone."""
    return f"mye_{secrets.token_urlsafe(32)}"
