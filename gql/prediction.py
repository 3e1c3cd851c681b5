"""Test calls to real-time services."""

from typing import Annotated, cast
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from gql.context import Info
from gql.model_version import ModelVersion
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers import prediction


@strawberry.input(description="A test call. Programs send predictions to the service's predictionUrl instead.")
class PredictInput:
    service_name: str = strawberry.field(description="The service.")
    json: JSON = strawberry.field(description="The body of the request.")
    path: str = strawberry.field(default="/", description="The path, as the model's apis declare it.")


@strawberry.type(description="What a service answered.")
class PredictPayload:
    json: JSON | None = strawberry.field(description="The answer, or null.")
    model_version: ModelVersion | None = by_key("version_id", description="The version that answered.")
    latency_milliseconds: float | None = strawberry.field(
        description="How long the answer took, from the gateway to the model and back."
    )
    errors: list[UserError] = strawberry.field(description="What went wrong; empty where the service answered.")
    version_id: strawberry.Private[UUID | None]


async def predict(
    info: Info, input: Annotated[PredictInput, strawberry.argument(description="The call.")]
) -> PredictPayload:
    context = info.context
    answered, errors = await outcome(
        prediction.predict(
            context.installation,
            context.predictor,
            context.caller,
            service_name=input.service_name,
            path=input.path,
            json=input.json,
        )
    )
    if answered is None:
        return PredictPayload(json=None, latency_milliseconds=None, errors=errors, version_id=None)
    return PredictPayload(
        json=cast(JSON, answered.json),
        latency_milliseconds=answered.latency_seconds * 1000,
        errors=[],
        version_id=answered.model_version_id,
    )
