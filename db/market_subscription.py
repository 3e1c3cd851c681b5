"""Subscriptions to listings of the market: rows of the subscriber's own that share the publisher's stored bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db import model
from db.connection import Connection, Queryable

# What a subscriber gets of a version: what the import found, and none of where it came from. What people say of it is
# the listing's, as it was published; what the publisher says of it since then is the publisher's own.
_COPIED = """version_number, model_name, description, labels, documents, chosen_deployment_types, chosen_runtime,
    chosen_dependencies, minimum_cpu_count, minimum_memory_bytes, minimum_gpu_count, minimum_ascend_count,
    input_output_mode, deployment_types, ai_engine, algorithm, requested_runtime, runtime, requirements, config, apis,
    dependencies, metrics, health_check, inference_code_path, model_path, size_bytes, digest, scan, provenance,
    warnings, imported_at, status"""
_NAMES = tuple(name.strip() for name in _COPIED.split(","))
_OTHERWISE = {
    "model_name": "$4",
    "warnings": "$6",
    "description": "listing.description",
    "labels": "listing.labels",
    "documents": "listing.documents",
}
_SOURCES = ", ".join(_OTHERWISE.get(name, f"published.{name}") for name in _NAMES)
# A model that takes versions from another publisher's model, or from imports, does not take this one's. That it was
# deleted is told before model.COME_BACK undoes it.
OPEN_MODEL = """
INSERT INTO model (workspace_id, name, publisher_model_id, created_by)
VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id, name) DO UPDATE
SET revision = model.revision + 1
WHERE model.publisher_model_id = excluded.publisher_model_id
RETURNING id, deleted_at IS NOT NULL AS was_deleted
"""
# This reads a version of another workspace, through a listing in force. Whoever subscribes again gets the row of
# before: services that ended refer to it, and a number is used once. Its id orders it,
# so when it was made stays.
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
SET {", ".join(f"{name} = excluded.{name}" for name in _NAMES)},
    deleted_at = NULL, deleted_by = NULL, restorable_until = NULL, purged_at = NULL,
    revision = model_version.revision + 1
WHERE model_version.deleted_at IS NOT NULL
RETURNING id, revision > 1 AS was_deleted
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
FOR NO KEY UPDATE OF model, subscription
"""
END = """
UPDATE market_subscription
SET ended_at = now(), ended_by = $3
WHERE workspace_id = $1
AND id = $2
"""


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """The subscriber's model. One that `was_deleted` is there again."""

    id: UUID
    was_deleted: bool


@dataclass(frozen=True, slots=True)
class Copied:
    """The subscriber's rows that stand for what a listing shows. A version that `was_deleted` is there again."""

    model_id: UUID
    model_version_id: UUID
    was_deleted: bool


async def open_model(
    connection: Connection, workspace_id: UUID, name: str, publisher_model_id: UUID, created_by: str
) -> OpenedModel | None:
    """The model that takes the versions of the publisher's, locked; None where the name is another model's."""
    row = await connection.fetchrow(OPEN_MODEL, workspace_id, name, publisher_model_id, created_by)
    if row is None:
        return None
    if row["was_deleted"]:
        await model.come_back(connection, workspace_id, row["id"])
    return OpenedModel(row["id"], row["was_deleted"])


async def copy_version(
    connection: Connection,
    workspace_id: UUID,
    listing: Record,
    model_id: UUID,
    model_name: str,
    created_by: str,
    *,
    warnings: Sequence[Mapping[str, object]],
) -> Copied | None:
    """The version that a held listing shows and its files, as rows of the subscriber's; None where they are there."""
    row = await connection.fetchrow(
        COPY_VERSION, workspace_id, listing["id"], model_id, model_name, created_by, warnings
    )
    if row is None:
        return None
    await connection.execute(COPY_FILES, workspace_id, listing["id"], row["id"])
    await connection.execute(COUNT_VERSIONS, workspace_id, model_id, listing["version_number"])
    return Copied(model_id, row["id"], row["was_deleted"])


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
