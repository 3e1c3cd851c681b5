"""Asking for a clean-up now."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.background_operation import BackgroundOperation
from gql.context import Info
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers import clean_up as resolver


@strawberry.input(description="A clean-up of this workspace.")
class CleanUpInput:
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What cleanUp did.")
class CleanUpPayload:
    operation: BackgroundOperation | None = by_key(
        "operation_id", description="The clean-up, or the one that was under way already; or null."
    )
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    operation_id: strawberry.Private[UUID | None]


async def clean_up(
    info: Info, input: Annotated[CleanUpInput, strawberry.argument(description="The clean-up.")]
) -> CleanUpPayload:
    context = info.context
    operation_id, errors = await outcome(
        resolver.request(context.installation, context.caller, idempotency_key=input.idempotency_key)
    )
    return CleanUpPayload(operation_id=operation_id, errors=errors)
