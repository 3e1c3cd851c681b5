"""What services were asked to run, and going back to it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.described_enum import described_enum
from gql.mapping import BY_POSITION, stored
from gql.service import Service, StartServiceInput
from gql.service_target import ServiceTarget
from gql.stored_field import by_key, rows
from gql.user_error import UserError, outcome
from resolvers import service_configuration


class ServiceConfigurationCause(StrEnum):
    DEPLOY = "DEPLOY"
    UPDATE = "UPDATE"
    ROLL_BACK = "ROLL_BACK"
    RESTART = "RESTART"


class ServiceConfigurationState(StrEnum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"


described_enum(
    ServiceConfigurationCause,
    description="What a configuration came from.",
    values={
        "DEPLOY": "The service was deployed.",
        "UPDATE": "The service was updated.",
        "ROLL_BACK": "An earlier configuration was asked for again.",
        "RESTART": "The service was restarted.",
    },
)
described_enum(
    ServiceConfigurationState,
    description="What became of a configuration.",
    values={
        "RUNNING": "It is coming into force, or will with the service's next start.",
        "SUCCEEDED": "It came into force.",
        "FAILED": "It did not come into force; `message` says why. While it is wanted it is tried on.",
        "SUPERSEDED": "Another one was asked for before it came into force.",
    },
)


@stored("service_configuration")
@strawberry.type(description="What a service was asked to run.")
class ServiceConfiguration:
    number: int = strawberry.field(description="Counts from 1 in its service.")
    cause: ServiceConfigurationCause = strawberry.field(description="What it came from.")
    restored_number: int | None = strawberry.field(description="The configuration that was asked for again.")
    state: ServiceConfigurationState = strawberry.field(description="What became of it.")
    message: str | None = strawberry.field(description="Why it has failed, where it has.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    created_by: str | None = strawberry.field(description="The token that asked for it.")
    finished_at: datetime | None = strawberry.field(description="When it came into force, failed or was superseded.")
    is_wanted: bool = strawberry.field(description="Whether it is what the service is to run.")
    is_routed: bool = strawberry.field(
        description="Whether predictions go to it; while an update is under way that is not the wanted one."
    )
    targets: list[ServiceTarget] = rows(
        "service_configuration_id", BY_POSITION, view="any_service_target", description="The versions that it runs."
    )


@strawberry.input(description="A service to bring back to an earlier configuration.")
class RollBackServiceInput(StartServiceInput):
    configuration_number: int | None = strawberry.field(
        default=None, description="The configuration to bring back; the one before the wanted one if left out."
    )


@strawberry.input(description="A service to restart.")
class RestartServiceInput(StartServiceInput):
    pass


@strawberry.type(description="What rollBackService did.")
class RollBackServicePayload:
    service: Service | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on unless it rests, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What restartService did.")
class RestartServicePayload:
    service: Service | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def roll_back_service(
    info: Info, input: Annotated[RollBackServiceInput, strawberry.argument(description="Which service, and to what.")]
) -> RollBackServicePayload:
    context = info.context
    service_id, errors = await outcome(
        service_configuration.roll_back(
            context.installation,
            context.caller,
            service_name=input.service_name,
            configuration_number=input.configuration_number,
            expected_revision=input.expected_revision,
            idempotency_key=input.idempotency_key,
        )
    )
    return RollBackServicePayload(service_id=service_id, errors=errors)


async def restart_service(
    info: Info, input: Annotated[RestartServiceInput, strawberry.argument(description="Which service.")]
) -> RestartServicePayload:
    context = info.context
    service_id, errors = await outcome(
        service_configuration.restart(
            context.installation,
            context.caller,
            service_name=input.service_name,
            expected_revision=input.expected_revision,
            idempotency_key=input.idempotency_key,
        )
    )
    return RestartServicePayload(service_id=service_id, errors=errors)
