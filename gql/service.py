"""Services: versions that answer predictions."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from engines.engine import IsolationLevel
from gql.audit_event import AuditEvent, AuditEventFilter
from gql.background_operation import BackgroundOperation
from gql.connection import Connection
from gql.context import Info
from gql.described_enum import described_enum
from gql.filter import OrderDirection, Restriction, name_restriction, order_choice, order_direction, restriction
from gql.identifier import Prefix
from gql.log_line import LogLine, LogLineFilter
from gql.mapping import BY_ID, BY_NAME, BY_NUMBER, NEWEST_NUMBER, OLDEST_ID, stored
from gql.node import Node
from gql.stored_field import by_key, newest, to_many, to_one
from gql.user_error import UserError, outcome, user_error
from resolvers import service
from resolvers.deployment import Deployment
from resolvers.deployment_type import DeploymentType
from resolvers.service import ServiceDesiredState, ServiceStatus

if TYPE_CHECKING:
    from gql.resource_pool import ResourcePool
    from gql.service_configuration import ServiceConfiguration

described_enum(
    ServiceStatus,
    description="How a service is.",
    values={
        "PENDING": "It waits for a place in its resource pool; statusMessage says what is missing.",
        "DEPLOYING": "Its instances are being prepared or are starting; during an update those before answer.",
        "RUNNING": "All of its instances are ready.",
        "CONCERNING": "Some of its instances are not ready, or an update has failed and what was before serves on.",
        "STOPPING": "It is being stopped.",
        "STOPPED": "It does not run, and can be started.",
        "FAILED": "None of its instances is ready; statusMessage says why. It is tried again now and then.",
        "FINISHED": "It has done its work (batch services).",
        "DELETING": "It is being ended for good.",
    },
)
described_enum(
    ServiceDesiredState,
    description="What a service is to be.",
    values={"RUNNING": "It is to run.", "STOPPED": "It is to rest.", "DELETED": "It is to be gone."},
)


@stored("service", prefix=Prefix.SERVICE, type_column="type_name")
@strawberry.federation.interface(description="Something deployed. What it is depends on its type.", keys=["id", "name"])
class Service(Node):
    name: str = strawberry.field(description="Its name, unique among the workspace's services.")
    description: str | None = strawberry.field(description="What it is about.")
    deployment_type: DeploymentType = strawberry.field(description="What it is deployed as.")
    status: ServiceStatus = strawberry.field(description="How it is.")
    status_message: str | None = strawberry.field(description="Why it is so, where that is not plain.")
    progress: float | None = strawberry.field(
        description="The share of the wanted instances that are ready, from 0 to 1."
    )
    desired_state: ServiceDesiredState = strawberry.field(description="What it is to be.")
    isolation: IsolationLevel | None = strawberry.field(
        description="How far its code is kept from the machine that it runs on: the weakest level of its instances "
        "that are ready or starting, at the edge of the nodes where they are. Null: nothing of it runs."
    )
    revision: int = strawberry.field(description="Counts what was asked of it.")
    created_at: datetime = strawberry.field(description="When it was first deployed.")
    created_by: str | None = strawberry.field(description="The token that deployed it.")
    updated_at: datetime | None = strawberry.field(
        description="When its configuration was last changed; null: not since it was deployed."
    )
    started_at: datetime | None = strawberry.field(description="Since when it has run; null: it does not, or not yet.")
    configurations: Connection[Annotated["ServiceConfiguration", strawberry.lazy("gql.service_configuration")]] = (
        to_many(
            "service_id",
            NEWEST_NUMBER,
            description="Everything that it was asked to run, and what became of that; the newest first.",
        )
    )
    resource_pool: Annotated["ResourcePool", strawberry.lazy("gql.resource_pool")] = to_one(
        "resource_pool_id", description="The resource pool that it runs in."
    )
    operation: BackgroundOperation | None = newest("subject_id", BY_ID, description="The newest operation on it.")
    logs: Connection[LogLine] = to_many(
        "service_id",
        BY_NUMBER,
        filter=LogLineFilter,
        description="What its instances printed, the oldest first; ask with `last` for the newest.",
    )
    audit_events: Connection[AuditEvent] = to_many(
        "subject_id",
        NEWEST_NUMBER,
        filter=AuditEventFilter,
        description="What happened to it, the newest first.",
    )


@strawberry.input(one_of=True, description="Which service: by its id, or by its name.")
class ServiceBy:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="The service's id.")
    name: strawberry.Maybe[str] = strawberry.field(description="The service's name.")


@strawberry.input(description="Which services.")
class ServiceFilter:
    status: list[ServiceStatus] | None = restriction(
        Restriction("status"), description="Only those in one of these states."
    )
    deployment_type: list[DeploymentType] | None = restriction(
        Restriction("deployment_type"), description="Only those that are deployed as one of these."
    )
    name_starts_with: str | None = name_restriction()


class ServiceOrderField(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"


described_enum(
    ServiceOrderField,
    description="What services can be ordered by.",
    values={"CREATED_AT": "When it was first deployed.", "NAME": "Its name, by code points."},
)


@strawberry.input(description="In which order.")
class ServiceOrder:
    field: ServiceOrderField = order_choice({ServiceOrderField.CREATED_AT: OLDEST_ID, ServiceOrderField.NAME: BY_NAME})
    direction: OrderDirection = order_direction()


@strawberry.input(description="A service to start.")
class StartServiceInput:
    service_name: str = strawberry.field(description="The service.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.input(description="A service to stop.")
class StopServiceInput(StartServiceInput):
    pass


@strawberry.input(description="A service to end for good.")
class DeleteServiceInput(StartServiceInput):
    pass


@strawberry.type(description="What startService did.")
class StartServicePayload:
    service: Service | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What stopService did.")
class StopServicePayload:
    service: Service | None = by_key(
        "service_id", view="any_service", description="The service, STOPPING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What deleteService did.")
class DeleteServicePayload:
    service: Service | None = by_key(
        "service_id", view="any_service", description="The service, DELETING from now on, or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def start_service(
    info: Info, input: Annotated[StartServiceInput, strawberry.argument(description="Which service.")]
) -> StartServicePayload:
    service_id, errors = await _act(info, service.START, input)
    return StartServicePayload(service_id=service_id, errors=errors)


async def stop_service(
    info: Info, input: Annotated[StopServiceInput, strawberry.argument(description="Which service.")]
) -> StopServicePayload:
    service_id, errors = await _act(info, service.STOP, input)
    return StopServicePayload(service_id=service_id, errors=errors)


async def delete_service(
    info: Info, input: Annotated[DeleteServiceInput, strawberry.argument(description="Which service.")]
) -> DeleteServicePayload:
    service_id, errors = await _act(info, service.DELETE, input)
    return DeleteServicePayload(service_id=service_id, errors=errors)


async def _act(info: Info, action: service.Action, input: StartServiceInput) -> tuple[UUID | None, list[UserError]]:
    return await outcome(
        service.act(
            info.context.installation,
            info.context.caller,
            action,
            service_name=input.service_name,
            expected_revision=input.expected_revision,
            idempotency_key=input.idempotency_key,
        )
    )


def warnings_of(done: Deployment | None) -> list[UserError]:
    """What whoever deployed or changed a service should know; nothing where it was not done."""
    return [user_error(warning) for warning in done.warnings] if done else []
