"""Models, and the numbers of their versions."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable, is_storable

COLUMNS = """id, workspace_id, name, publisher_model_id, last_version_number, version_count, revision, created_at,
    created_by, deleted_at"""
# One statement makes the model or finds it, and gives out the version's number: the one asked for, or the highest ever
# used plus one patch. Concurrent importers of one name wait for one another here, so their numbers have no gap.
# A deleted model's numbers go on. That it was deleted is told before COME_BACK undoes it: nobody else is told so.
NEXT_VERSION = """
INSERT INTO model (workspace_id, name, created_by, last_version_number, version_count)
VALUES ($1, $2, $3, coalesce($4, 1), 1)
ON CONFLICT (workspace_id, name) DO UPDATE
SET last_version_number = greatest(model.last_version_number, coalesce($4, model.last_version_number + 1)),
    version_count = model.version_count + 1,
    revision = model.revision + 1,
    publisher_model_id = CASE WHEN model.deleted_at IS NULL THEN model.publisher_model_id END
RETURNING id, coalesce($4, last_version_number) AS version_number, last_version_number,
    publisher_model_id IS NOT NULL AS is_subscribed, deleted_at IS NOT NULL AS was_deleted
"""
COME_BACK = """
UPDATE model
SET deleted_at = NULL, deleted_by = NULL
WHERE workspace_id = $1
AND id = $2
"""
FIND = f"""
SELECT {COLUMNS}
FROM model
WHERE workspace_id = $1
AND (id = $2 OR name = $3)
"""
# NO KEY: a row that refers to the model must not wait for whoever holds this and waits for a version in turn.
LOCK_BY_NAME = """
SELECT id, name, revision, publisher_model_id IS NOT NULL AS is_subscribed, deleted_at
FROM model
WHERE workspace_id = $1
AND name = $2
FOR NO KEY UPDATE
"""
TOUCH = """
UPDATE model
SET revision = revision + 1
WHERE workspace_id = $1
AND id = $2
"""


@dataclass(frozen=True, slots=True)
class NewNumber:
    """The number that was given out, and the highest that the model has used with it.

    A model that `is_subscribed` takes no imports: whoever was given a number of it must not keep it. One that
    `was_deleted` is there again.
    """

    model_id: UUID
    version_number: int
    last_version_number: int
    is_subscribed: bool
    was_deleted: bool


async def next_version(
    connection: Connection, workspace_id: UUID, name: str, created_by: str, version_number: int | None
) -> NewNumber:
    row = await connection.fetchrow(NEXT_VERSION, workspace_id, name, created_by, version_number)
    assert row is not None
    if row["was_deleted"]:
        await come_back(connection, workspace_id, row["id"])
    return NewNumber(
        row["id"], row["version_number"], row["last_version_number"], row["is_subscribed"], row["was_deleted"]
    )


async def come_back(connection: Connection, workspace_id: UUID, model_id: UUID) -> None:
    """Undo a model's deletion within a change that is counted already."""
    await connection.execute(COME_BACK, workspace_id, model_id)


async def find(
    connection: Queryable, workspace_id: UUID, *, model_id: UUID | None = None, name: str | None = None
) -> Record | None:
    if name is not None and not is_storable(name):
        return None
    return await connection.fetchrow(FIND, workspace_id, model_id, name)


async def lock_by_name(connection: Connection, workspace_id: UUID, name: str) -> Record | None:
    """The model, deleted or not. Who changes which versions it has, or where its aliases point, locks it first."""
    return await connection.fetchrow(LOCK_BY_NAME, workspace_id, name) if is_storable(name) else None


async def touch(connection: Connection, workspace_id: UUID, model_id: UUID) -> None:
    """Count a change."""
    await connection.execute(TOUCH, workspace_id, model_id)
