"""Deleting models and versions, and restoring them."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.model import Model
from gql.model_version import ModelVersion, ModelVersionName
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers import model_deletion
from resolvers.model_version import VersionName


@strawberry.input(description="A version to delete.")
class DeleteModelVersionInput:
    model_version: ModelVersionName = strawberry.field(description="The version.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model_deletion.VersionRequest:
        name = VersionName(self.model_version.model_name, self.model_version.version)
        return model_deletion.VersionRequest(name, self.expected_revision)


@strawberry.input(description="A deleted version to restore.")
class RestoreModelVersionInput(DeleteModelVersionInput):
    pass


@strawberry.input(description="A model to delete, with all of its versions.")
class DeleteModelInput:
    model_name: str = strawberry.field(description="The model.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> model_deletion.ModelRequest:
        return model_deletion.ModelRequest(self.model_name, self.expected_revision)


@strawberry.input(description="A deleted model to restore, with the versions that were deleted together with it.")
class RestoreModelInput(DeleteModelInput):
    pass


@strawberry.type(description="What deleteModelVersion did.")
class DeleteModelVersionPayload:
    model_version: ModelVersion | None = by_key(
        "version_id", view="any_model_version", description="The version, deleted, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


@strawberry.type(description="What restoreModelVersion did.")
class RestoreModelVersionPayload:
    model_version: ModelVersion | None = by_key(
        "version_id", view="any_model_version", description="The version as it is again, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


@strawberry.type(description="What deleteModel did.")
class DeleteModelPayload:
    model: Model | None = by_key("model_id", view="any_model", description="The model, without its versions, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    model_id: strawberry.Private[UUID | None]


@strawberry.type(description="What restoreModel did.")
class RestoreModelPayload:
    model: Model | None = by_key("model_id", view="any_model", description="The model as it is again, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    model_id: strawberry.Private[UUID | None]


async def delete_model_version(
    info: Info, input: Annotated[DeleteModelVersionInput, strawberry.argument(description="Which version.")]
) -> DeleteModelVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        model_deletion.delete_version(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeleteModelVersionPayload(version_id=version_id, errors=errors)


async def restore_model_version(
    info: Info, input: Annotated[RestoreModelVersionInput, strawberry.argument(description="Which version.")]
) -> RestoreModelVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        model_deletion.restore_version(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return RestoreModelVersionPayload(version_id=version_id, errors=errors)


async def delete_model(
    info: Info, input: Annotated[DeleteModelInput, strawberry.argument(description="Which model.")]
) -> DeleteModelPayload:
    context = info.context
    model_id, errors = await outcome(
        model_deletion.delete_model(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return DeleteModelPayload(model_id=model_id, errors=errors)


async def restore_model(
    info: Info, input: Annotated[RestoreModelInput, strawberry.argument(description="Which model.")]
) -> RestoreModelPayload:
    context = info.context
    model_id, errors = await outcome(
        model_deletion.restore_model(
            context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key
        )
    )
    return RestoreModelPayload(model_id=model_id, errors=errors)
