"""The sizes that instances can have."""

from typing import Annotated

import strawberry

from gql.context import Context, Info
from gql.scalar import BigInt
from gql.user_error import UserError, outcome
from resolvers import inference_specification
from resolvers.capacity import Amounts


@strawberry.type(description="A size that an instance can have.")
class InferenceSpecification:
    name: str = strawberry.field(
        description="Its name, as deployments take it; custom where a deployment said each amount."
    )
    description: str | None = strawberry.field(description="What it is.")
    cpu_count: float = strawberry.field(description="Processors.")
    memory_bytes: BigInt = strawberry.field(description="Memory, in bytes.")
    gpu_count: float = strawberry.field(description="GPUs.")
    ascend_count: int = strawberry.field(description="Ascend processors.")
    is_built_in: bool = strawberry.field(description="Whether every installation has it.")
    is_available: bool = strawberry.field(description="Whether the engine of this installation can honour it.")
    unavailable_reason: str | None = strawberry.field(description="Why it cannot; null where it can.")

    @classmethod
    def of(cls, context: Context, entry: inference_specification.InferenceSpecification) -> "InferenceSpecification":
        engine = context.installation.engine
        refusal = next(inference_specification.engine_violations(engine, entry.amounts, path=()), None)
        return cls(
            name=entry.name,
            description=entry.description,
            cpu_count=float(entry.cpu_count),
            memory_bytes=BigInt(entry.memory_bytes),
            gpu_count=float(entry.gpu_count),
            ascend_count=entry.ascend_count,
            is_built_in=entry.is_built_in,
            is_available=refusal is None,
            unavailable_reason=refusal.message if refusal else None,
        )


@strawberry.input(description="A size of one's own for the instances of one target.")
class CustomInferenceSpecificationInput:
    cpu_count: float = strawberry.field(description="Processors, 0.01 or more.")
    memory_bytes: BigInt = strawberry.field(description="Memory, in bytes; at least 1 MiB.")
    gpu_count: float = strawberry.field(default=0.0, description="GPUs.")
    ascend_count: int = strawberry.field(default=0, description="Ascend processors; not together with GPUs.")

    def read(self) -> Amounts:
        return Amounts(self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count)


@strawberry.input(description="A size to add to those of this workspace.")
class CreateInferenceSpecificationInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    cpu_count: float = strawberry.field(description="Processors, 0.01 or more.")
    memory_bytes: BigInt = strawberry.field(description="Memory, in bytes; at least 1 MiB.")
    gpu_count: float = strawberry.field(default=0.0, description="GPUs.")
    ascend_count: int = strawberry.field(default=0, description="Ascend processors; not together with GPUs.")
    description: str | None = strawberry.field(default=None, description="What it is for.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> inference_specification.CreateRequest:
        return inference_specification.CreateRequest(
            self.name, self.description, self.cpu_count, self.memory_bytes, self.gpu_count, self.ascend_count
        )


@strawberry.input(description="A size to take out of those of this workspace.")
class DeleteInferenceSpecificationInput:
    name: str = strawberry.field(description="Its name.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What createInferenceSpecification did.")
class CreateInferenceSpecificationPayload:
    inference_specification: InferenceSpecification | None = strawberry.field(description="The size, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")


@strawberry.type(description="What deleteInferenceSpecification did.")
class DeleteInferenceSpecificationPayload:
    name: str | None = strawberry.field(description="The name that is free again, or null.")
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")


async def inference_specifications(info: Info) -> list[InferenceSpecification]:
    context = info.context
    found = await inference_specification.all_of_workspace(context.installation.pool, context.caller.workspace.id)
    return [InferenceSpecification.of(context, entry) for entry in found]


async def create_inference_specification(
    info: Info, input: Annotated[CreateInferenceSpecificationInput, strawberry.argument(description="The size.")]
) -> CreateInferenceSpecificationPayload:
    context = info.context
    key, errors = await outcome(
        inference_specification.create(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    found = await inference_specification.own(context.installation, context.caller, input.name) if key else None
    shown = InferenceSpecification.of(context, found) if found else None
    return CreateInferenceSpecificationPayload(inference_specification=shown, errors=errors)


async def delete_inference_specification(
    info: Info, input: Annotated[DeleteInferenceSpecificationInput, strawberry.argument(description="Which size.")]
) -> DeleteInferenceSpecificationPayload:
    context = info.context
    key, errors = await outcome(
        inference_specification.delete(
            context.installation, context.caller, input.name, idempotency_key=input.idempotency_key
        )
    )
    return DeleteInferenceSpecificationPayload(name=input.name if key else None, errors=errors)
