"""Uploads of a training job version's output, straight to storage."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from gql.context import Context, Info
from gql.identifier import Prefix, decode
from gql.mapping import BY_NUMBER, stored
from gql.node import Node
from gql.scalar import URL, BigInt
from gql.stored_field import by_key, computed, rows, to_one
from gql.training_job import TrainingJobVersion
from gql.user_error import UserError, outcome
from resolvers import upload
from resolvers.upload import NewFile


@strawberry.type(description="A stretch of a file, to be PUT to an address of its own.")
class UploadPart:
    number: int = strawberry.field(description="Counts from 1.")
    offset_bytes: BigInt = strawberry.field(description="Where in the file it begins.")
    size_bytes: BigInt = strawberry.field(description="How many bytes it has, exactly.")
    url: URL = strawberry.field(description="PUT the bytes here, without a token: the address is signed.")


async def _parts(
    context: Context, upload_id: UUID, number: int, path: str, size_bytes: int, store_upload_id: str | None
) -> list[UploadPart]:
    file = upload.UploadFile(context.workspace_id, upload_id, number, path, size_bytes, store_upload_id)
    return [
        UploadPart(
            number=part.number,
            offset_bytes=BigInt(part.offset_bytes),
            size_bytes=BigInt(part.size_bytes),
            url=URL(part.url),
        )
        for part in await upload.presigned_parts(context.installation, file)
    ]


@stored("upload_file")
@strawberry.type(description="A file that is to be uploaded.")
class UploadFile:
    path: str = strawberry.field(description="Where it goes, below the output location.")
    size_bytes: BigInt = strawberry.field(description="How large it was announced to be.")
    parts: list[UploadPart] = computed(
        _parts, description="Its parts with their addresses; empty once the upload is completed or has expired."
    )


@stored("upload", prefix=Prefix.UPLOAD)
@strawberry.type(
    description="Files on their way into a training job version's output. Their bytes never pass through GraphQL."
)
class Upload(Node):
    expires_at: datetime = strawberry.field(description="Until when the addresses of its parts are good.")
    completed_at: datetime | None = strawberry.field(description="When its files were put in place.")
    created_at: datetime = strawberry.field(description="When it was announced.")
    files: list[UploadFile] = rows("upload_id", BY_NUMBER, description="Its files, in the order announced.")
    training_job_version: TrainingJobVersion = to_one(
        "training_job_version_id", description="The version whose output the files belong to."
    )


@strawberry.input(description="A file to be uploaded.")
class UploadFileInput:
    path: str = strawberry.field(description="Where it goes, below the output location: model/config.json.")
    size_bytes: BigInt = strawberry.field(description="How many bytes it has.")


@strawberry.input(description="Files for the output of a training job version.")
class CreateUploadInput:
    training_job_name: str = strawberry.field(description="The job.")
    version_name: str = strawberry.field(description="The version, such as V0001.")
    files: list[UploadFileInput] = strawberry.field(description="The files, at most 1,000.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key with the same input gets the first answer again."
    )

    def read(self) -> upload.CreateRequest:
        files = [NewFile(file.path, file.size_bytes) for file in self.files]
        return upload.CreateRequest(self.training_job_name, self.version_name, files)


@strawberry.type(description="What createUpload did.")
class CreateUploadPayload:
    upload: Upload | None = by_key("upload_id", description="The upload with the addresses of its parts, or null.")
    errors: list[UserError] = strawberry.field(description="Everything that was wrong; empty where it was done.")
    upload_id: strawberry.Private[UUID | None]


async def create_upload(
    info: Info, input: Annotated[CreateUploadInput, strawberry.argument(description="The files.")]
) -> CreateUploadPayload:
    context = info.context
    upload_id, errors = await outcome(
        upload.create(context.installation, context.caller, input.read(), idempotency_key=input.idempotency_key)
    )
    return CreateUploadPayload(upload_id=upload_id, errors=errors)


@strawberry.input(description="An upload whose parts have all been PUT.")
class CompleteUploadInput:
    upload_id: strawberry.ID = strawberry.field(description="The upload. Asking twice changes nothing more.")


@strawberry.type(description="What completeUpload did.")
class CompleteUploadPayload:
    upload: Upload | None = by_key("upload_id", description="The completed upload, or null.")
    errors: list[UserError] = strawberry.field(description="What is missing; empty where the files are in place.")
    upload_id: strawberry.Private[UUID | None]


async def complete_upload(
    info: Info, input: Annotated[CompleteUploadInput, strawberry.argument(description="Which upload.")]
) -> CompleteUploadPayload:
    key = decode(Prefix.UPLOAD, input.upload_id)
    upload_id, errors = await outcome(upload.complete(info.context.installation, info.context.caller, key))
    return CompleteUploadPayload(upload_id=upload_id, errors=errors)
