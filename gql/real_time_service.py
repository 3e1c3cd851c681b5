"""Real-time services: versions that answer predictions one by one."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Context, Info
from gql.identifier import Prefix, encode
from gql.mapping import BY_POSITION, stored
from gql.scalar import URL
from gql.service import Service
from gql.service_target import ServiceTarget, ServiceTargetInput
from gql.stored_field import by_key, computed, rows
from gql.user_error import UserError, outcome
from resolvers import real_time_service


def _prediction_url(context: Context, id: UUID) -> URL:
    return URL(f"{context.predictions_url}/{encode(Prefix.SERVICE, id)}")


@stored("service", prefix=Prefix.SERVICE, type_column="type_name")
@strawberry.federation.type(description="A service that answers predictions one by one.", keys=["id", "name"])
class RealTimeService(Service):
    prediction_url: URL = computed(
        _prediction_url, description="Where to send predictions, with the token that signs in here."
    )
    targets: list[ServiceTarget] = rows("service_id", BY_POSITION, description="The versions that it runs.")


@strawberry.input(description="A real-time service to deploy.")
class DeployRealTimeServiceInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    targets: list[ServiceTargetInput] = strawberry.field(description="The versions to run: of one model, each once.")
    description: str | None = strawberry.field(default=None, description="What the service is about.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> real_time_service.DeployRequest:
        return real_time_service.DeployRequest(self.name, self.description, [target.read() for target in self.targets])


@strawberry.type(description="What deployRealTimeService did.")
class DeployRealTimeServicePayload:
    service: RealTimeService | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def deploy_real_time_service(
    info: Info, input: Annotated[DeployRealTimeServiceInput, strawberry.argument(description="The service.")]
) -> DeployRealTimeServicePayload:
    context = info.context
    service_id, errors = await outcome(
        real_time_service.deploy_real_time(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeployRealTimeServicePayload(service_id=service_id, errors=errors)
