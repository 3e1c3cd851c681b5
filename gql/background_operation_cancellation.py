"""Breaking off a background operation."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.background_operation import BackgroundOperation
from gql.context import Info
from gql.identifier import Prefix, decode
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers import operation_cancellation


@strawberry.input(description="A background operation to break off.")
class CancelBackgroundOperationInput:
    operation_id: strawberry.ID = strawberry.field(
        description="The operation: one that imports, verifies or cleans up, and has not ended."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What cancelBackgroundOperation did.")
class CancelBackgroundOperationPayload:
    operation: BackgroundOperation | None = by_key("operation_id", description="The operation, CANCELLED, or null.")
    errors: list[UserError] = strawberry.field(description="What was wrong; empty where it was done.")
    operation_id: strawberry.Private[UUID | None]


async def cancel_background_operation(
    info: Info, input: Annotated[CancelBackgroundOperationInput, strawberry.argument(description="Which operation.")]
) -> CancelBackgroundOperationPayload:
    context = info.context
    key = decode(Prefix.BACKGROUND_OPERATION, input.operation_id)
    operation_id, errors = await outcome(
        operation_cancellation.cancel(context.installation, context.caller, key, idempotency_key=input.idempotency_key)
    )
    return CancelBackgroundOperationPayload(operation_id=operation_id, errors=errors)
