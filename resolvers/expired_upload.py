"""Uploads that were never completed in their time give back what they hold."""

from uuid import UUID

import structlog
from asyncpg import Record

from artifacts.object_store import StoreError
from db import training_job, upload
from resolvers.installation import Installation

# A completion that began in time may still be at work.
GRACE_SECONDS = 3_600.0
logger = structlog.get_logger()


async def discard_expired(installation: Installation, workspace_id: UUID | None = None) -> int:
    """Give back what uploads hold that were never completed, of all workspaces or of one: of how many uploads.

    One that cannot be given back is logged, and another time's; those after it are given back.
    """
    count, after = 0, UUID(int=0)
    while rows := await _expired(installation, workspace_id, after):
        for row in rows:
            try:
                await _discard(installation, row)
            except StoreError as failure:
                logger.warning("an upload was not given back", upload_id=str(row["id"]), reason=str(failure))
            else:
                count += 1
        after = rows[-1]["id"]
    return count


async def _expired(installation: Installation, workspace_id: UUID | None, after: UUID) -> list[Record]:
    if workspace_id is None:
        return await upload.expired_anywhere(installation.pool, GRACE_SECONDS, after=after)
    return await upload.expired(installation.pool, workspace_id, GRACE_SECONDS, after=after)


async def _discard(installation: Installation, row: Record) -> None:
    version = await training_job.find_version(installation.pool, row["workspace_id"], row["training_job_version_id"])
    assert version is not None
    store = installation.stores.get(version["output_store"])
    if store is None:
        # Nobody can come for it any more: not its uploader, and not this server.
        logger.warning("an upload expired in a store that is gone", upload_id=str(row["id"]))
    else:
        for file in await upload.files(installation.pool, row["workspace_id"], row["id"]):
            if file["store_upload_id"] is not None:
                await store.abort_upload(f"{version['output_key']}/{file['path']}", file["store_upload_id"])
    await upload.expire(installation.pool, row["workspace_id"], row["id"])
