"""Whether what is stored of a version is what was imported, and asking for that to be found out."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from gql.background_operation import BackgroundOperation
from gql.context import Info
from gql.described_enum import described_enum
from gql.scalar import BigInt
from gql.stored_field import by_key
from gql.user_error import PackageProblem, UserError, outcome
from resolvers import model_verification
from resolvers.source_state import SourceState

if TYPE_CHECKING:
    from gql.model_version import ModelVersion, ModelVersionName


class IntegrityState(StrEnum):
    INTACT = "INTACT"
    DRIFTED = "DRIFTED"


described_enum(
    IntegrityState,
    description="Whether stored bytes are the imported ones.",
    values={
        "INTACT": "Every stored file is the one that was imported.",
        "DRIFTED": "A stored file is another one or gone; nothing is deployed from it.",
    },
)
described_enum(
    SourceState,
    description="Whether what a version was imported from is still what it was. The version does not depend on it.",
    values={
        "UNCHANGED": "Every imported file lies there as it was.",
        "CHANGED": "Some are other objects by now, or gone.",
        "GONE": "None of the files lies there any more.",
        "UNKNOWN": "The version has no source in storage, or the store did not answer.",
    },
)


@strawberry.type(description="What became of the place that a version was imported from.")
class SourceReport:
    state: SourceState = strawberry.field(description="Whether it is what it was.")
    changed_files: list[str] = strawberry.field(
        description="The first hundred imported files that are other objects there by now, or gone."
    )


@strawberry.type(description="What a verification of a version found.")
class IntegrityReport:
    state: IntegrityState = strawberry.field(description="Whether its stored bytes are the imported ones.")
    checked_at: datetime = strawberry.field(description="When that was found.")
    file_count: int = strawberry.field(description="How many files were read.")
    size_bytes: BigInt = strawberry.field(description="How large they are together.")
    problems: list[PackageProblem] = strawberry.field(
        description="The first hundred files that are not the imported ones, with both SHA-256."
    )
    source: SourceReport = strawberry.field(
        description="What became of the place that it was imported from: information, no error."
    )


@strawberry.input(description="A version whose stored files are to be read again.")
class VerifyModelVersionInput:
    model_version: Annotated["ModelVersionName", strawberry.lazy("gql.model_version")] = strawberry.field(
        description="The version."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )


@strawberry.type(description="What verifyModelVersion did.")
class VerifyModelVersionPayload:
    model_version: Annotated["ModelVersion", strawberry.lazy("gql.model_version")] | None = by_key(
        "version_id", description="The version, whose `integrity` will tell, or null."
    )
    operation: BackgroundOperation | None = by_key(
        "operation_id", description="The verification, or the one that is under way already, or null."
    )
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    version_id: strawberry.Private[UUID | None]
    operation_id: strawberry.Private[UUID | None]


async def verify_model_version(
    info: Info, input: Annotated[VerifyModelVersionInput, strawberry.argument(description="Which version.")]
) -> VerifyModelVersionPayload:
    context, name = info.context, input.model_version
    request = model_verification.VerificationRequest(name.model_name, name.version)
    asked, errors = await outcome(
        model_verification.verify_model_version(
            context.installation, context.caller, request, idempotency_key=input.idempotency_key
        )
    )
    return VerifyModelVersionPayload(
        version_id=asked.version_id if asked else None,
        operation_id=asked.operation_id if asked else None,
        errors=errors,
    )
