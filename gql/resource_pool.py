"""Resource pools: what services may take together."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from gql.connection import Connection
from gql.context import Info
from gql.described_enum import described_enum
from gql.identifier import Prefix, encode
from gql.mapping import stored
from gql.node import Node
from gql.scalar import BigInt
from gql.stored_field import by_key, to_many
from gql.user_error import UserError, outcome
from resolvers import resource_pool

if TYPE_CHECKING:
    from gql.service import Service


class ResourcePoolKind(StrEnum):
    SHARED = "SHARED"
    DEDICATED = "DEDICATED"


described_enum(
    ResourcePoolKind,
    description="Whose a resource pool is.",
    values={
        "SHARED": "Every workspace has it: it is what the installation has. The operator says how much that is.",
        "DEDICATED": "This workspace's alone.",
    },
)


@stored("resource_pool", prefix=Prefix.RESOURCE_POOL)
@strawberry.type(description="What services may take together of processors, memory and accelerators.")
class ResourcePool(Node):
    name: str = strawberry.field(description="Its name, unique among the workspace's pools.")
    kind: ResourcePoolKind = strawberry.field(description="Whose it is.")
    description: str | None = strawberry.field(description="What it is for.")
    cpu_count: float | None = strawberry.field(description="Its processors; null where nobody counts them.")
    memory_bytes: BigInt | None = strawberry.field(description="Its memory; null where nobody counts it.")
    gpu_count: float = strawberry.field(description="Its GPUs; those of the shared pool are not counted.")
    ascend_count: int = strawberry.field(description="Its Ascend processors; those of the shared pool are not counted.")
    used_cpu_count: float = strawberry.field(
        description="Processors of the instances that this workspace has placed in it."
    )
    used_memory_bytes: BigInt = strawberry.field(description="Their memory.")
    used_gpu_count: float = strawberry.field(description="Their GPUs.")
    used_ascend_count: int = strawberry.field(description="Their Ascend processors.")
    instance_count: int = strawberry.field(description="How many instances this workspace has placed in it.")
    revision: int = strawberry.field(description="Counts its changes.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str | None = strawberry.field(description="The token that made it.")
    services: Connection[Annotated["Service", strawberry.lazy("gql.service")]] = to_many(
        "resource_pool_id", description="The services in it, running or not, the newest first."
    )


@strawberry.input(description="A dedicated resource pool to make.")
class CreateResourcePoolInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    cpu_count: float = strawberry.field(description="Processors.")
    memory_bytes: BigInt = strawberry.field(description="Memory, in bytes.")
    gpu_count: float = strawberry.field(default=0.0, description="GPUs.")
    ascend_count: int = strawberry.field(default=0, description="Ascend processors.")
    description: str | None = strawberry.field(default=None, description="What it is for.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> resource_pool.CreateRequest:
        return resource_pool.CreateRequest(
            self.name, self.description, self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count
        )


@strawberry.input(description="What is to be changed of a dedicated resource pool. What is left out stays.")
class UpdateResourcePoolInput:
    name: str = strawberry.field(description="The pool.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is for; null clears it.")
    cpu_count: float | None = strawberry.field(
        default=None, description="Processors; not fewer than those of the instances in it."
    )
    memory_bytes: BigInt | None = strawberry.field(
        default=None, description="Memory, in bytes; not less than that of the instances in it."
    )
    gpu_count: float | None = strawberry.field(
        default=None, description="GPUs; not fewer than those of the instances in it."
    )
    ascend_count: int | None = strawberry.field(
        default=None, description="Ascend processors; not fewer than those of the instances in it."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> resource_pool.UpdateRequest:
        names = ("cpu_count", "memory_bytes", "gpu_count", "ascend_count")
        changes: dict[str, Any] = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.description is not None:
            changes["description"] = self.description.value
        return resource_pool.UpdateRequest(self.name, changes, self.expected_revision)


@strawberry.input(description="A dedicated resource pool to end.")
class DeleteResourcePoolInput:
    name: str = strawberry.field(description="The pool.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What createResourcePool did.")
class CreateResourcePoolPayload:
    resource_pool: ResourcePool | None = by_key("pool_id", description="The pool, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    pool_id: strawberry.Private[UUID | None]


@strawberry.type(description="What updateResourcePool did.")
class UpdateResourcePoolPayload:
    resource_pool: ResourcePool | None = by_key("pool_id", description="The pool as it is now, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    pool_id: strawberry.Private[UUID | None]


@strawberry.type(description="What deleteResourcePool did.")
class DeleteResourcePoolPayload:
    resource_pool_id: strawberry.ID | None = strawberry.field(description="The id that it had, or null.")
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")


async def create_resource_pool(
    info: Info, input: Annotated[CreateResourcePoolInput, strawberry.argument(description="The pool.")]
) -> CreateResourcePoolPayload:
    context = info.context
    pool_id, errors = await outcome(
        resource_pool.create(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return CreateResourcePoolPayload(pool_id=pool_id, errors=errors)


async def update_resource_pool(
    info: Info, input: Annotated[UpdateResourcePoolInput, strawberry.argument(description="What to change.")]
) -> UpdateResourcePoolPayload:
    context = info.context
    pool_id, errors = await outcome(
        resource_pool.update(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return UpdateResourcePoolPayload(pool_id=pool_id, errors=errors)


async def delete_resource_pool(
    info: Info, input: Annotated[DeleteResourcePoolInput, strawberry.argument(description="Which pool.")]
) -> DeleteResourcePoolPayload:
    context = info.context
    pool_id, errors = await outcome(
        resource_pool.delete(
            context.installation,
            context.caller,
            input.name,
            expected_revision=input.expected_revision,
            idempotency_key=input.idempotency_key,
        )
    )
    identifier = strawberry.ID(encode(Prefix.RESOURCE_POOL, pool_id)) if pool_id else None
    return DeleteResourcePoolPayload(resource_pool_id=identifier, errors=errors)
