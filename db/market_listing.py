"""What a workspace shows all others of a version: the market's listings.

A listing in force is the one kind of row that every workspace may read, and the only way to another one's version.
"""

from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

_SHOWN = """model_name, version_number, version, title, description, labels, documents, ai_engine, algorithm, runtime,
    deployment_types, apis, dependencies, metrics, size_bytes, digest, scan, provenance, publisher"""
# What was withdrawn is put back, with what is to be seen of the version now.
PUBLISH = f"""
INSERT INTO market_listing (workspace_id, model_id, model_version_id, {_SHOWN}, published_by)
SELECT version.workspace_id, version.model_id, version.id, version.model_name, version.version_number,
    version.version, $3, coalesce($4, version.description), version.labels, version.documents, version.ai_engine,
    version.algorithm, version.runtime, coalesce(version.deployment_types, '{{}}'), version.apis,
    version.dependencies, nullif(version.metrics, '{{}}'), version.size_bytes, version.digest, version.scan,
    version.provenance, workspace.name, $5
FROM model_version AS version
JOIN workspace ON workspace.id = version.workspace_id
WHERE version.workspace_id = $1
AND version.id = $2
ON CONFLICT (model_version_id) DO UPDATE
SET {", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in _SHOWN.split(","))},
    withdrawn_at = NULL, withdrawn_by = NULL, revision = market_listing.revision + 1
WHERE market_listing.withdrawn_at IS NOT NULL
RETURNING id
"""
WITHDRAW = """
UPDATE market_listing
SET withdrawn_at = now(), withdrawn_by = $3, revision = revision + 1
WHERE workspace_id = $1
AND model_version_id = $2
AND withdrawn_at IS NULL
RETURNING id
"""
VERSION_OF = """
SELECT model_version_id
FROM market_listing
WHERE workspace_id = $1
AND id = $2
"""
# Of any workspace: this is what the market is. Whoever withdraws the listing waits for the reader, and only a version
# whose listing is withdrawn can be deleted.
HOLD = """
SELECT listing.id, listing.workspace_id, listing.model_id, listing.model_name, listing.version_number,
    listing.version, listing.publisher, version.warnings
FROM market_listing AS listing
JOIN model_version AS version
    ON version.workspace_id = listing.workspace_id
    AND version.id = listing.model_version_id
WHERE listing.id = $1
AND listing.withdrawn_at IS NULL
AND version.deleted_at IS NULL
FOR SHARE OF listing
"""
# Of any workspace, too. Most files are clean, and there may be many.
DOUBTFUL_FILES = """
SELECT file.path, file.scan_state, file.scan_globals, file.scan_reason
FROM market_listing AS listing
JOIN model_file AS file
    ON file.workspace_id = listing.workspace_id
    AND file.model_version_id = listing.model_version_id
WHERE listing.id = $1
AND listing.withdrawn_at IS NULL
AND file.scan_state <> 'CLEAN'
ORDER BY file.path
"""


async def publish(
    connection: Connection,
    workspace_id: UUID,
    version_id: UUID,
    *,
    title: str | None,
    description: str | None,
    published_by: str,
) -> UUID | None:
    """The listing's id, or None where one is in force. Without a description it has the version's own."""
    published: UUID | None = await connection.fetchval(
        PUBLISH, workspace_id, version_id, title, description, published_by
    )
    return published


async def withdraw(connection: Connection, workspace_id: UUID, version_id: UUID, withdrawn_by: str) -> UUID | None:
    """The id of the listing that was in force, or None."""
    withdrawn: UUID | None = await connection.fetchval(WITHDRAW, workspace_id, version_id, withdrawn_by)
    return withdrawn


async def hold(connection: Queryable, listing_id: UUID) -> Record | None:
    """A listing in force, of whichever workspace: until the transaction ends nobody withdraws it."""
    return await connection.fetchrow(HOLD, listing_id)


async def doubtful_files(connection: Queryable, listing_id: UUID) -> list[Record]:
    """What scans found in files of a held listing's version that are not clean, by path."""
    return await connection.fetch(DOUBTFUL_FILES, listing_id)


async def version_of(connection: Queryable, workspace_id: UUID, listing_id: UUID) -> UUID:
    """The version that one of the workspace's listings shows; of a withdrawn one too."""
    version_id: UUID = await connection.fetchval(VERSION_OF, workspace_id, listing_id)
    return version_id
