"""Subscriptions to listings of the market: rows of the subscriber's own that share the publisher's stored bytes."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

# What a subscriber gets of a version: what the import found, and none of where it came from.
_COPIED = """version_number, model_name, description, labels, documents, chosen_deployment_types, chosen_runtime,
    chosen_dependencies, minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count, minimum_ascend_count,
    input_output_mode, deployment_types, ai_engine, algorithm, requested_runtime, runtime, requirements, config, apis,
    dependencies, metrics, health_check, inference_code_path, model_path, size_bytes, digest, scan, provenance,
    warnings, imported_at, status"""
_NAMES = tuple(name.strip() for name in _COPIED.split(","))
_SOURCES = ", ".join("$4" if name == "model_name" else f"published.{name}" for name in _NAMES)
# A model that takes versions from another publisher's model, or from imports, does not take this one's.
OPEN_MODEL = """
INSERT INTO model (workspace_id, name, publisher_model_id, created_by)
VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, name) DO UPDATE
SET deleted_at = NULL, deleted_by = NULL, revision = model.revision + 1
WHERE model.publisher_model_id = excluded.publisher_model_id
RETURNING id
"""
# This reads a version of another workspace, through a listing in force. Whoever subscribes again gets the row of
# before: services that ended refer to it, and a number is used once.
COPY_VERSION = f"""
INSERT INTO model_version (workspace_id, model_id, created_by, origin, source_kind, {_COPIED})
SELECT $1, $3, $5, 'MARKET', 'MARKET', {_SOURCES}
FROM market_listing AS listing
JOIN model_version AS published
    ON published.workspace_id = listing.workspace_id
    AND published.id = listing.model_version_id
WHERE listing.id = $2
AND listing.withdrawn_at IS NULL
ON CONFLICT (workspace_id, model_id, version_number) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in _NAMES)}, created_by = excluded.created_by, created_at = now(),
    deleted_at = NULL, deleted_by = NULL, restorable_until = NULL, purged_at = NULL,
    revision = model_version.revision + 1
WHERE model_version.deleted_at IS NOT NULL
RETURNING id
"""
# This reads files of another workspace's version, through a listing in force. While that is held, the publisher's rows
# refer to the bytes, and then these do: nothing that tidies up finds them unused in between.
COPY_FILES = """
INSERT INTO model_file (
    workspace_id, model_version_id, path, size_bytes, sha256, scan_state, scan_globals, scan_reason
)
SELECT $1, $3, file.path, file.size_bytes, file.sha256, file.scan_state, file.scan_globals, file.scan_reason
FROM market_listing AS listing
JOIN model_file AS file
    ON file.workspace_id = listing.workspace_id
    AND file.model_version_id = listing.model_version_id
WHERE listing.id = $2
AND listing.withdrawn_at IS NULL
ON CONFLICT (workspace_id, model_version_id, path) DO NOTHING
"""
COUNT_VERSIONS = """
UPDATE model
SET last_version_number = greatest(last_version_number, $3),
    version_count = (
        SELECT count(*)
        FROM model_version
        WHERE model_version.workspace_id = $1
        AND model_version.model_id = $2
    )
WHERE workspace_id = $1
AND id = $2
"""
INSERT = """
INSERT INTO market_subscription (
    workspace_id, market_listing_id, model_id, model_version_id, publisher, published_model_name, version,
    subscribed_by
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (workspace_id, market_listing_id) WHERE ended_at IS NULL DO NOTHING
RETURNING id
"""
IS_SUBSCRIBED = """
SELECT EXISTS (
    SELECT 1
    FROM market_subscription
    WHERE workspace_id = $1
    AND market_listing_id = $2
    AND ended_at IS NULL
)
"""
VERSION_OF = """
SELECT model_version_id
FROM market_subscription
WHERE workspace_id = $1
AND id = $2
"""
# The model too: of two that end its last two subscriptions, the second one finds it empty.
LOCK = """
SELECT subscription.id, subscription.model_id, subscription.model_version_id, subscription.publisher,
    subscription.version, model.name AS own_model_name
FROM market_subscription AS subscription
JOIN model
    ON model.workspace_id = subscription.workspace_id
    AND model.id = subscription.model_id
WHERE subscription.workspace_id = $1
AND subscription.id = $2
AND subscription.ended_at IS NULL
FOR UPDATE OF model, subscription
"""
END = """
UPDATE market_subscription
SET ended_at = now(), ended_by = $3
WHERE workspace_id = $1
AND id = $2
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """The subscriber's rows that stand for what a listing shows."""

    model_id: UUID
    model_version_id: UUID


async def open_model(
    connection: Connection, workspace_id: UUID, name: str, publisher_model_id: UUID, created_by: str
) -> UUID | None:
    """The model that takes the versions of the publisher's, locked; None where the name is another model's."""
    opened: UUID | None = await connection.fetchval(OPEN_MODEL, workspace_id, name, publisher_model_id, created_by)
    return opened


async def copy_version(
    connection: Connection, workspace_id: UUID, listing: Record, model_id: UUID, model_name: str, created_by: str
) -> Copied | None:
    """The version that a held listing shows and its files, as rows of the subscriber's; None where they are there."""
    version_id: UUID | None = await connection.fetchval(
        COPY_VERSION, workspace_id, listing["id"], model_id, model_name, created_by
    )
    if version_id is None:
        return None
    await connection.execute(COPY_FILES, workspace_id, listing["id"], version_id)
    await connection.execute(COUNT_VERSIONS, workspace_id, model_id, listing["version_number"])
    return Copied(model_id, version_id)


async def insert(
    connection: Connection, workspace_id: UUID, listing: Record, copied: Copied, subscribed_by: str
) -> UUID | None:
    """The subscription's id, or None where there is one."""
    inserted: UUID | None = await connection.fetchval(
        INSERT,
        workspace_id,
        listing["id"],
        copied.model_id,
        copied.model_version_id,
        listing["publisher"],
        listing["model_name"],
        listing["version"],
        subscribed_by,
    )
    return inserted


async def is_subscribed(connection: Queryable, workspace_id: UUID, listing_id: UUID) -> bool:
    return await connection.fetchval(IS_SUBSCRIBED, workspace_id, listing_id) is True


async def version_of(connection: Queryable, workspace_id: UUID, subscription_id: UUID) -> UUID:
    """The subscriber's version; of an ended subscription too."""
    version_id: UUID = await connection.fetchval(VERSION_OF, workspace_id, subscription_id)
    return version_id


async def lock(connection: Connection, workspace_id: UUID, subscription_id: UUID) -> Record | None:
    """One that has not ended, with its model's row."""
    return await connection.fetchrow(LOCK, workspace_id, subscription_id)


async def end(connection: Connection, workspace_id: UUID, subscription_id: UUID, ended_by: str) -> None:
    await connection.execute(END, workspace_id, subscription_id, ended_by)
