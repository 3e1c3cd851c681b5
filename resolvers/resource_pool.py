"""Resource pools: the shared one, and those that a workspace has for itself."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from asyncpg import Record

from db import placement, resource_pool, workspace
from db.resource_pool import Said
from resolvers import capacity, field_rule
from resolvers.caller import Caller
from resolvers.capacity import NAMES, Amounts, counted, some
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    Refusal,
    not_found,
    raise_all,
    revision_violations,
)
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

SHARED = "shared"
# One list shows them all.
POOLS = 100


@dataclass(frozen=True, slots=True)
class CreateRequest:
    name: str
    description: str | None
    cpu_count: float
    memory_bytes: int
    gpu_count: float
    ascend_count: int

    @property
    def said(self) -> Said:
        return Said(self.description, self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count)


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """`changes` are by the names of columns."""

    name: str
    changes: dict[str, Any]
    expected_revision: int | None


async def chosen(unit: Transaction, name: str | None, *, path: Sequence[str]) -> Record:
    """The pool of a name, the shared one where none is given, held till the transaction ends. Raises Refusal."""
    row = await resource_pool.hold(unit.connection, unit.workspace_id, SHARED if name is None else name)
    if row is None:
        raise not_found(f"resource pool named {name!r}", path=path)
    return row


async def of_service(unit: Transaction, service: Record) -> Record:
    """The pool of a service, whose row is one of `db.service`."""
    row = await resource_pool.find(unit.connection, unit.workspace_id, pool_id=service["resource_pool_id"])
    assert row is not None
    return row


async def settle(installation: Installation) -> None:
    """Write down what the shared pool holds, as the operator set it. For the owner of the engine alone."""
    rules = installation.rules
    await resource_pool.settle(
        installation.pool, cpu_count=rules.shared_pool_cpu_count, memory_bytes=rules.shared_pool_memory_bytes
    )


async def create(
    installation: Installation, caller: Caller, request: CreateRequest, *, idempotency_key: str | None
) -> UUID:
    """Make a dedicated pool: its id. Raises Refusals."""
    refusals = [*field_rule.name(request.name, path=["name"]), *_violations(installation, request.said)]
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            raise_all(refusals)
            return await _create(unit, request)

        return await once(unit, mutation="createResourcePool", key=idempotency_key, request=asdict(request), act=act)


async def _create(unit: Transaction, request: CreateRequest) -> UUID:
    # Locked, so that the count holds.
    await workspace.lock(unit.connection, unit.workspace_id)
    if await resource_pool.count(unit.connection, unit.workspace_id) >= POOLS:
        message = f"The workspace has {POOLS} resource pools, and cannot have more."
        raise Refusal(ErrorCode.LIMIT_REACHED, message, path=["name"], hint="Delete one that nothing runs in.")
    pool_id = await resource_pool.insert(unit.connection, unit.workspace_id, request.name, request.said, unit.actor)
    if pool_id is None:
        raise AlreadyExists(f"There is a resource pool named {request.name!r} already.", path=["name"])
    unit.record("RESOURCE_POOL_CREATED", pool_id, name=request.name)
    return pool_id


def _violations(installation: Installation, said: Said) -> Iterator[Refusal]:
    yield from field_rule.description(said.description, is_strict=installation.rules.is_strict, path=["description"])
    yield from capacity.capacity_violations(_amounts(said), path=[])


def _amounts(said: Said) -> Amounts:
    return Amounts(said.cpu_count, said.memory_bytes, said.gpu_count, said.ascend_count)


async def update(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> UUID:
    """Change what is said of a dedicated pool: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _update(installation, unit, request)

        return await once(unit, mutation="updateResourcePool", key=idempotency_key, request=asdict(request), act=act)


async def _update(installation: Installation, unit: Transaction, request: UpdateRequest) -> UUID:
    row = await _lock_dedicated(unit, request.name, to_delete=False)
    earlier = {name: row[name] for name in ("description", *NAMES)}
    said = Said(**{**earlier, **request.changes})
    taken = Amounts.of(await placement.taken(unit.connection, unit.workspace_id, row))
    wrong = list(_violations(installation, said)) or list(_too_small(_amounts(said), taken, request.changes))
    raise_all([*revision_violations(request.expected_revision, row["revision"]), *wrong])
    if said != Said(**earlier):
        await resource_pool.update(unit.connection, unit.workspace_id, row["id"], said)
        unit.record("RESOURCE_POOL_UPDATED", row["id"], name=row["name"], changed=sorted(request.changes))
    updated: UUID = row["id"]
    return updated


def _too_small(wanted: Amounts, taken: Amounts, changes: Collection[str]) -> Iterator[Refusal]:
    """What is placed in the pool and would not fit any more."""
    fields = dict(zip(NAMES, ("cpuCount", "memoryBytes", "gpuCount", "ascendCount"), strict=True))
    for name in taken.beyond(wanted):
        if name in changes:
            message = f"Instances in the pool have {counted(name, getattr(taken, name))}."
            hint = "Stop services in it first, or give them fewer or smaller instances."
            yield Refusal(ErrorCode.INSUFFICIENT_CAPACITY, message, path=[fields[name]], hint=hint)


async def delete(
    installation: Installation,
    caller: Caller,
    name: str,
    *,
    expected_revision: int | None,
    idempotency_key: str | None,
) -> UUID:
    """End a dedicated pool that no service is in: the id that it had. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _delete(unit, name, expected_revision)

        request = {"name": name, "expectedRevision": expected_revision}
        return await once(unit, mutation="deleteResourcePool", key=idempotency_key, request=request, act=act)


async def _delete(unit: Transaction, name: str, expected_revision: int | None) -> UUID:
    row = await _lock_dedicated(unit, name, to_delete=True)
    users = await resource_pool.users(unit.connection, unit.workspace_id, row["id"])
    raise_all([*revision_violations(expected_revision, row["revision"]), *_in_use(name, users)])
    pool_id: UUID = row["id"]
    await resource_pool.delete(unit.connection, unit.workspace_id, pool_id)
    unit.record("RESOURCE_POOL_DELETED", pool_id, name=name)
    return pool_id


def _in_use(name: str, services: Sequence[str]) -> Iterator[Refusal]:
    if services:
        message = f"Services are in the pool {name!r}: {some(services)}."
        hint = "Delete them, running or not; deploy them into another pool if they are needed."
        yield Refusal(ErrorCode.IN_USE, message, path=["name"], hint=hint)


async def _lock_dedicated(unit: Transaction, name: str, *, to_delete: bool) -> Record:
    lock = resource_pool.lock_to_delete if to_delete else resource_pool.lock_to_change
    row = await lock(unit.connection, unit.workspace_id, name)
    if row is None:
        raise not_found(f"resource pool named {name!r}", path=["name"])
    if row["kind"] == "SHARED":
        message = "The shared pool is every workspace's; the operator says what it holds."
        raise Refusal(ErrorCode.INVALID_STATE, message, path=["name"])
    return row
