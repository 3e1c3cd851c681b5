"""How much a workspace keeps in storage."""

from uuid import UUID

import strawberry

from gql.context import Context
from gql.scalar import BigInt
from resolvers.storage_usage import storage_usage


@strawberry.type(description="How much a workspace keeps in storage. Counting takes longer the more there is.")
class StorageUsage:
    model_bytes: BigInt = strawberry.field(
        description="The sizes of all versions together, each file counted as often as versions hold it."
    )
    stored_bytes: BigInt = strawberry.field(
        description="What the files of versions take, each counted once, those of deleted versions included."
    )
    deleted_bytes: BigInt = strawberry.field(
        description="The sizes of deleted versions that can still be restored, or wait for a clean-up."
    )
    upload_bytes: BigInt = strawberry.field(description="What was announced by uploads that are not completed yet.")
    model_version_count: int = strawberry.field(description="Versions, without deleted ones.")
    file_count: int = strawberry.field(description="Files of those versions.")


async def usage_of(context: Context, workspace_id: UUID) -> StorageUsage:
    usage = await storage_usage(context.installation, workspace_id)
    return StorageUsage(
        model_bytes=BigInt(usage["model_bytes"]),
        stored_bytes=BigInt(usage["stored_bytes"]),
        deleted_bytes=BigInt(usage["deleted_bytes"]),
        upload_bytes=BigInt(usage["upload_bytes"]),
        model_version_count=usage["version_count"],
        file_count=usage["file_count"],
    )
