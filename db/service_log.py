"""What instances of services printed: each service's last lines, which outlive the instances."""

from uuid import UUID

from db.connection import Queryable

# The offset moves with the lines: after a crash none is read twice, and none is left out. The service is locked before
# its instance, as by everybody who changes both.
APPEND = """
WITH counter AS (
    UPDATE service
    SET last_log_number = last_log_number + cardinality($3::text[])
    FROM service_instance AS instance
    WHERE instance.workspace_id = $1
    AND instance.id = $2
    AND service.workspace_id = instance.workspace_id
    AND service.id = instance.service_id
    RETURNING service.id, last_log_number - cardinality($3::text[]) AS last_log_number
), instance AS (
    UPDATE service_instance AS instance
    SET log_offset_bytes = $4
    FROM counter
    WHERE instance.workspace_id = $1
    AND instance.id = $2
    AND instance.service_id = counter.id
    RETURNING instance.number, instance.service_target_id
)
INSERT INTO service_log_line (workspace_id, service_id, number, service_instance_id, instance_number,
    model_version_id, text)
SELECT $1, counter.id, counter.last_log_number + given.position, $2, instance.number, target.model_version_id,
    given.text
FROM counter, instance
JOIN service_target AS target
    ON target.workspace_id = $1
    AND target.id = instance.service_target_id,
    unnest($3::text[]) WITH ORDINALITY AS given (text, position)
"""
TRIM = """
DELETE FROM service_log_line
WHERE workspace_id = $1
AND service_id = $2
AND number <= (SELECT last_log_number - $3 FROM service WHERE workspace_id = $1 AND id = $2)
"""
DELETE_OLD = """
DELETE FROM service_log_line
WHERE ctid = ANY (ARRAY (
    SELECT ctid
    FROM service_log_line
    WHERE workspace_id = $1
    AND written_at < now() - make_interval(days => $2)
    LIMIT $3
))
AND workspace_id = $1
"""
DELETE_OLD_ANYWHERE = """
DELETE FROM service_log_line
WHERE ctid = ANY (ARRAY (
    SELECT ctid
    FROM service_log_line
    WHERE written_at < now() - make_interval(days => $1)
    LIMIT $2
))
"""


async def append(
    connection: Queryable, workspace_id: UUID, instance_id: UUID, lines: list[str], *, offset_bytes: int
) -> None:
    """Keep lines that an instance printed, up to an offset in its own log."""
    await connection.execute(APPEND, workspace_id, instance_id, lines, offset_bytes)


async def trim(connection: Queryable, workspace_id: UUID, service_id: UUID, kept: int) -> None:
    """Keep a service's last lines."""
    await connection.execute(TRIM, workspace_id, service_id, kept)


async def delete_old(connection: Queryable, workspace_id: UUID, *, days: int, limit: int) -> int:
    """Let go of a workspace's lines that are older, so many at the most: how many."""
    return _count(await connection.execute(DELETE_OLD, workspace_id, days, limit))


async def delete_old_anywhere(connection: Queryable, *, days: int, limit: int) -> int:
    """The same of all workspaces."""
    return _count(await connection.execute(DELETE_OLD_ANYWHERE, days, limit))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
