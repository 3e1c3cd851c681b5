"""How much a workspace keeps in storage."""

from uuid import UUID

from asyncpg import Record

from db import storage_usage as stored
from resolvers.installation import Installation


async def storage_usage(installation: Installation, workspace_id: UUID) -> Record:
    """model_bytes, stored_bytes, deleted_bytes, upload_bytes, version_count and file_count, counted now."""
    async with installation.reading_pool.reading() as connection:
        return await stored.usage(connection, workspace_id)
