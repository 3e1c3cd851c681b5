"""Changing what people say of a version."""

from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.model_import import MinimumInferenceSpecificationInput, ModelDocumentInput
from gql.model_version import ModelVersion, ModelVersionName
from gql.stored_field import by_key
from gql.user_error import UserError, outcome
from resolvers.model_version import NO_MINIMUM, Changes, UpdateRequest, VersionName, update


@strawberry.input(description="What to say of a version anew. What is left out stays; null clears it.")
class UpdateModelVersionInput:
    model_version: ModelVersionName = strawberry.field(description="The version.")
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="What the version is about, up to 1,000 characters."
    )
    labels: strawberry.Maybe[list[str] | None] = strawberry.field(description="All of its labels, at most five.")
    documents: strawberry.Maybe[list[ModelDocumentInput] | None] = strawberry.field(
        description="All of its documents, at most three."
    )
    minimum_inference_specification: strawberry.Maybe[MinimumInferenceSpecificationInput | None] = strawberry.field(
        description="The least that an instance needs, as a whole."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision you read; with another one nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> UpdateRequest:
        name = VersionName(self.model_version.model_name, self.model_version.version)
        return UpdateRequest(name, self._changes(), self.expected_revision)

    def _changes(self) -> Changes:
        documents = self.documents.value if self.documents else None
        minimum = self.minimum_inference_specification.value if self.minimum_inference_specification else None
        fields = ("description", "labels", "documents", "minimum_inference_specification")
        return Changes(
            given=[name for name in fields if getattr(self, name) is not None],
            description=self.description.value if self.description else None,
            labels=(self.labels.value if self.labels else None) or [],
            documents=[document.read() for document in documents or ()],
            minimum_specification=minimum.read() if minimum else NO_MINIMUM,
        )


@strawberry.type(description="What updateModelVersion did.")
class UpdateModelVersionPayload:
    model_version: ModelVersion | None = by_key("version_id", description="The version as it is now, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]


async def update_model_version(
    info: Info, input: Annotated[UpdateModelVersionInput, strawberry.argument(description="The changes.")]
) -> UpdateModelVersionPayload:
    context = info.context
    version_id, errors = await outcome(
        update(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return UpdateModelVersionPayload(version_id=version_id, errors=errors)
