"""Real-time services: versions that answer predictions one by one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Context, Info
from gql.described_enum import described_enum
from gql.identifier import Prefix, encode
from gql.mapping import BY_POSITION, stored
from gql.scalar import URL, BigInt
from gql.service import Service, warnings_of
from gql.service_metrics import ServiceMetrics, metrics_of
from gql.service_target import ServiceTarget, ServiceTargetInput
from gql.stored_field import by_key, computed, inline, rows
from gql.user_error import UserError, outcome
from resolvers import real_time_service
from resolvers.service_settings import SETTING_NAMES, ServiceAccess, SettingChanges


def _prediction_url(context: Context, id: UUID) -> URL:
    return URL(f"{context.predictions_url}/{encode(Prefix.SERVICE, id)}")


def _open_api_url(context: Context, id: UUID) -> URL:
    return URL(f"{_prediction_url(context, id)}/openapi.json")


described_enum(
    ServiceAccess,
    description="Who may send predictions to a service.",
    values={
        "TOKEN": "Whoever signs in with a token of the workspace.",
        "PUBLIC": "Anybody who knows the address.",
    },
)


def _stops_at(_context: Context, at: datetime | None) -> datetime | None:
    return at


@strawberry.type(description="When a service is stopped by itself.")
class AutoStop:
    after_seconds: int = strawberry.field(description="So long after each start.")
    stops_at: datetime | None = computed(_stops_at, description="When it is next; null while the service rests.")


@stored("service", prefix=Prefix.SERVICE, type_column="type_name")
@strawberry.federation.type(description="A service that answers predictions one by one.", keys=["id", "name"])
class RealTimeService(Service):
    prediction_url: URL = computed(
        _prediction_url, description="Where to send predictions, with the token that signs in here."
    )
    open_api_url: URL = computed(
        _open_api_url, description="Where its OpenAPI document is, of what its versions declare."
    )
    targets: list[ServiceTarget] = rows(
        "service_id", BY_POSITION, description="The versions that it is to run: those of the wanted configuration."
    )
    access: ServiceAccess = strawberry.field(description="Who may send predictions.")
    max_body_bytes: BigInt | None = strawberry.field(
        description="Largest body of one prediction; null: what the server allows."
    )
    timeout_seconds: float | None = strawberry.field(
        description="Longest that one prediction may take; null: what the server allows."
    )
    requests_per_second: float | None = strawberry.field(
        description="How many predictions a second are passed on; null: any number."
    )
    request_burst: int | None = strawberry.field(
        description="How many may come at once, before the rate holds them back; null: as many as in one second."
    )
    checks_inputs: bool = strawberry.field(
        description="Whether inputs that do not fit the declared schema are refused before the model is asked."
    )
    auto_stop: AutoStop | None = inline(
        "auto_stop_", present="after_seconds", description="When it is stopped by itself; null: never."
    )
    metrics: ServiceMetrics = strawberry.field(
        resolver=metrics_of, description="How its predictions went, counted when it is asked for."
    )


MAX_BODY_BYTES = "Largest body of one prediction, up to what the server allows; null: just that."
TIMEOUT_SECONDS = "Longest that one prediction may take: 0.1 seconds to what the server allows; null: just that."
REQUESTS_PER_SECOND = "How many predictions a second are passed on: 0.01 to 1,000,000; null: any number."
REQUEST_BURST = (
    "How many may come at once, before the rate holds them back: 1 to 1,000,000; null: as many as in one second."
)
CHECKS_INPUTS = "Whether inputs that do not fit the declared schema are refused before the model is asked."
AUTO_STOP = "Stop it by itself so long after each start: 3,600 to 86,400 seconds; null: never."
PLAN_FINGERPRINT = "The fingerprint of the plan that this follows; if anything has changed since, nothing is done."


@strawberry.input(description="A real-time service to deploy.")
class DeployRealTimeServiceInput:
    name: str = strawberry.field(description="1 to 64 letters, Chinese characters, digits, hyphens and underscores.")
    targets: list[ServiceTargetInput] = strawberry.field(description="The versions to run: of one model, each once.")
    description: str | None = strawberry.field(default=None, description="What the service is about.")
    resource_pool: str | None = strawberry.field(
        default=None, description="The resource pool that it runs in; the shared one if left out."
    )
    access: ServiceAccess = strawberry.field(default=ServiceAccess.TOKEN, description="Who may send predictions.")
    max_body_bytes: BigInt | None = strawberry.field(default=None, description=MAX_BODY_BYTES)
    timeout_seconds: float | None = strawberry.field(default=None, description=TIMEOUT_SECONDS)
    requests_per_second: float | None = strawberry.field(default=None, description=REQUESTS_PER_SECOND)
    request_burst: int | None = strawberry.field(default=None, description=REQUEST_BURST)
    checks_inputs: bool = strawberry.field(default=False, description=CHECKS_INPUTS)
    auto_stop_after_seconds: int | None = strawberry.field(default=None, description=AUTO_STOP)
    plan_fingerprint: str | None = strawberry.field(default=None, description=PLAN_FINGERPRINT)
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> real_time_service.DeployRequest:
        given = {name: getattr(self, name) for name in ("description", *SETTING_NAMES)}
        return real_time_service.DeployRequest(
            self.name,
            [target.read() for target in self.targets],
            SettingChanges(given),
            self.resource_pool,
            self.plan_fingerprint,
        )


@strawberry.input(description="What to change of a real-time service. What is left out stays; null clears it.")
class UpdateRealTimeServiceInput:
    service_name: str = strawberry.field(description="The service.")
    targets: list[ServiceTargetInput] | None = strawberry.field(
        default=None, description="All of the versions to run from now on; as they are if left out."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(description="What the service is about.")
    access: strawberry.Maybe[ServiceAccess | None] = strawberry.field(
        description="Who may send predictions; null: TOKEN."
    )
    max_body_bytes: strawberry.Maybe[BigInt | None] = strawberry.field(description=MAX_BODY_BYTES)
    timeout_seconds: strawberry.Maybe[float | None] = strawberry.field(description=TIMEOUT_SECONDS)
    requests_per_second: strawberry.Maybe[float | None] = strawberry.field(description=REQUESTS_PER_SECOND)
    request_burst: strawberry.Maybe[int | None] = strawberry.field(description=REQUEST_BURST)
    checks_inputs: strawberry.Maybe[bool | None] = strawberry.field(description=CHECKS_INPUTS)
    auto_stop_after_seconds: strawberry.Maybe[int | None] = strawberry.field(description=AUTO_STOP)
    plan_fingerprint: str | None = strawberry.field(default=None, description=PLAN_FINGERPRINT)
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> real_time_service.UpdateRequest:
        return real_time_service.UpdateRequest(
            self.service_name,
            None if self.targets is None else [target.read() for target in self.targets],
            self._changes(),
            self.plan_fingerprint,
            self.expected_revision,
        )

    def _changes(self) -> SettingChanges:
        names = ("description", *SETTING_NAMES)
        return SettingChanges({name: maybe.value for name in names if (maybe := getattr(self, name)) is not None})


@strawberry.type(description="What deployRealTimeService did.")
class DeployRealTimeServicePayload:
    service: RealTimeService | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING from now on, or null."
    )
    warnings: list[UserError] = strawberry.field(description="What is doubtful and was done nevertheless.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


@strawberry.type(description="What updateRealTimeService did.")
class UpdateRealTimeServicePayload:
    service: RealTimeService | None = by_key(
        "service_id", view="any_service", description="The service, DEPLOYING while its targets change, or null."
    )
    warnings: list[UserError] = strawberry.field(description="What is doubtful and was done nevertheless.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    service_id: strawberry.Private[UUID | None]


async def deploy_real_time_service(
    info: Info, input: Annotated[DeployRealTimeServiceInput, strawberry.argument(description="The service.")]
) -> DeployRealTimeServicePayload:
    context = info.context
    done, errors = await outcome(
        real_time_service.deploy_real_time(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeployRealTimeServicePayload(
        service_id=done.service_id if done else None, warnings=warnings_of(done), errors=errors
    )


async def update_real_time_service(
    info: Info, input: Annotated[UpdateRealTimeServiceInput, strawberry.argument(description="The changes.")]
) -> UpdateRealTimeServicePayload:
    context = info.context
    done, errors = await outcome(
        real_time_service.update_real_time(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return UpdateRealTimeServicePayload(
        service_id=done.service_id if done else None, warnings=warnings_of(done), errors=errors
    )
