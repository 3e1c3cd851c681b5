"""What a deployment would do, without doing it."""

import math
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Context, Info
from gql.inference_specification import InferenceSpecification
from gql.model_version import ModelVersion
from gql.real_time_service import DeployRealTimeServiceInput, UpdateRealTimeServiceInput
from gql.resource_pool import ResourcePool
from gql.scalar import BigInt
from gql.stored_field import by_key
from gql.user_error import UserError, user_error
from resolvers import deployment_plan, real_time_service
from resolvers.capacity import Amounts
from resolvers.deployment_plan import Plan
from resolvers.transaction import Transaction


@strawberry.type(description="Amounts of what instances take; null where nobody counts them.")
class ResourceAmounts:
    cpu_count: float | None = strawberry.field(description="Processors.")
    memory_bytes: BigInt | None = strawberry.field(description="Memory, in bytes.")
    gpu_count: float | None = strawberry.field(description="GPUs.")
    ascend_count: int | None = strawberry.field(description="Ascend processors.")

    @classmethod
    def of(cls, amounts: Amounts) -> "ResourceAmounts":
        cpu_count, memory_bytes, gpu_count, ascend_count = (
            None if math.isinf(amount) else amount for amount in amounts.values()
        )
        return cls(
            cpu_count=cpu_count,
            memory_bytes=None if memory_bytes is None else BigInt(int(memory_bytes)),
            gpu_count=gpu_count,
            ascend_count=None if ascend_count is None else int(ascend_count),
        )


@strawberry.type(description="Whether the resource pool has room. Where it has not, instances wait, PENDING.")
class PlannedCapacity:
    pool: ResourcePool | None = by_key("pool_id", description="The resource pool.")
    free: ResourceAmounts = strawberry.field(
        description="What is free in it now; of the shared one, what all workspaces together leave."
    )
    needed: ResourceAmounts = strawberry.field(
        description="What is needed of that meanwhile: old instances go when new ones are ready, not before."
    )
    free_after: ResourceAmounts = strawberry.field(
        description="What is free when all is done; below 0 where there is not room for all."
    )
    is_sufficient: bool = strawberry.field(description="Whether there is room at once.")
    sentence: str = strawberry.field(description="The same in words.")
    pool_id: strawberry.Private[UUID]

    @classmethod
    def of(cls, capacity: deployment_plan.PlannedCapacity) -> "PlannedCapacity":
        return cls(
            pool_id=capacity.pool_id,
            free=ResourceAmounts.of(capacity.free),
            needed=ResourceAmounts.of(capacity.needed),
            free_after=ResourceAmounts.of(capacity.free_after),
            is_sufficient=not capacity.lacking,
            sentence=deployment_plan.sentence(capacity),
        )


@strawberry.type(description="What becomes of one version.")
class PlannedTarget:
    model_version: ModelVersion | None = by_key("model_version_id", description="The version.")
    weight_before: int = strawberry.field(description="Its share of the predictions now, in percent.")
    weight_after: int = strawberry.field(description="Its share afterwards; 0 where it goes.")
    instance_count_before: int = strawberry.field(description="How many instances it is to have now.")
    instance_count_after: int = strawberry.field(description="How many it is to have afterwards.")
    started_instance_count: int = strawberry.field(description="How many are started.")
    stopped_instance_count: int = strawberry.field(description="How many are stopped.")
    kept_instance_count: int = strawberry.field(description="How many go on as they are.")
    inference_specification: InferenceSpecification = strawberry.field(
        description="The size of its instances; of one that goes, the one that they had."
    )
    is_below_minimum: bool = strawberry.field(
        description="Whether that is below the version's minimum, where the minimum counts."
    )
    model_version_id: strawberry.Private[UUID]

    @classmethod
    def of(cls, context: Context, target: deployment_plan.PlannedTarget) -> "PlannedTarget":
        return cls(
            model_version_id=target.model_version_id,
            weight_before=target.weight_before,
            weight_after=target.weight_after,
            instance_count_before=target.instance_count_before,
            instance_count_after=target.instance_count_after,
            started_instance_count=target.started_instance_count,
            stopped_instance_count=target.stopped_instance_count,
            kept_instance_count=target.kept_instance_count,
            inference_specification=InferenceSpecification.of(context, target.size),
            is_below_minimum=target.is_below_minimum,
        )


@strawberry.input(one_of=True, description="What to plan: the input of the mutation that would do it.")
class PlanDeploymentInput:
    deploy_real_time_service: strawberry.Maybe[DeployRealTimeServiceInput] = strawberry.field(
        description="A new real-time service."
    )
    update_real_time_service: strawberry.Maybe[UpdateRealTimeServiceInput] = strawberry.field(
        description="A change of a real-time service."
    )


@strawberry.type(description="What a deployment would do with the same input. Nothing was stored.")
class DeploymentPlan:
    fingerprint: str | None = strawberry.field(
        description="Stands for all that the plan rests on. Given to the mutation as planFingerprint, that fails where "
        "any of it has changed. Null where nothing would be started or stopped, or the input is wrong."
    )
    is_possible: bool = strawberry.field(
        description="Whether the mutation would be accepted; without room in the pool, instances would wait."
    )
    problems: list[UserError] = strawberry.field(description="Everything that the mutation would answer as errors.")
    warnings: list[UserError] = strawberry.field(description="What is doubtful and would be let through.")
    targets: list[PlannedTarget] = strawberry.field(
        description="What becomes of each version, those that go last; empty where the input is wrong."
    )
    capacity: PlannedCapacity | None = strawberry.field(
        description="Whether there is room for it; null where the input is wrong."
    )


async def plan_deployment(
    info: Info, input: Annotated[PlanDeploymentInput, strawberry.argument(description="What to plan.")]
) -> DeploymentPlan:
    context = info.context

    async def ask(unit: Transaction) -> None:
        if input.deploy_real_time_service is not None:
            deployment = input.deploy_real_time_service.value.read()
            await real_time_service.deploy_within(context.installation, unit, deployment, [])
        elif input.update_real_time_service is not None:
            update = input.update_real_time_service.value.read()
            await real_time_service.update_within(context.installation, unit, update, [])

    return _shown(context, await deployment_plan.plan(context.installation, context.caller, ask))


def _shown(context: Context, plan: Plan) -> DeploymentPlan:
    facts = plan.facts
    return DeploymentPlan(
        fingerprint=facts.fingerprint if facts and not plan.refusals else None,
        is_possible=not plan.refusals,
        problems=[user_error(refusal) for refusal in plan.refusals],
        warnings=[user_error(warning) for warning in facts.warnings] if facts else [],
        targets=[PlannedTarget.of(context, target) for target in facts.targets] if facts else [],
        capacity=PlannedCapacity.of(facts.capacity) if facts else None,
    )
