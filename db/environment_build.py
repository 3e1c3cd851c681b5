"""Builds of environments: one row per build that an import started, with its log."""

from collections.abc import Sequence
from uuid import UUID

from db.connection import Connection, Queryable

START = """
INSERT INTO environment_build (workspace_id, model_version_id, digest, runtime, requirements)
VALUES ($1, $2, $3, $4, $5)
RETURNING id
"""
APPEND_LOG = """
UPDATE environment_build
SET log = right(log || $3, 1000000)
WHERE workspace_id = $1
AND id = $2
"""
FINISH = """
UPDATE environment_build
SET state = $3, finished_at = now()
WHERE workspace_id = $1
AND id = $2
"""
LOSE = """
UPDATE environment_build
SET state = 'FAILED', finished_at = now(), log = log || $3
WHERE workspace_id = $1
AND model_version_id = $2
AND state = 'RUNNING'
"""


async def start(
    connection: Queryable,
    workspace_id: UUID,
    version_id: UUID,
    *,
    digest: str,
    runtime: str,
    requirements: Sequence[str],
) -> UUID:
    build_id: UUID = await connection.fetchval(START, workspace_id, version_id, digest, runtime, requirements)
    return build_id


async def append_log(connection: Queryable, workspace_id: UUID, build_id: UUID, text: str) -> None:
    """Add to the log, of which the last million characters are kept."""
    await connection.execute(APPEND_LOG, workspace_id, build_id, text)


async def finish(connection: Queryable, workspace_id: UUID, build_id: UUID, state: str) -> None:
    await connection.execute(FINISH, workspace_id, build_id, state)


async def lose(connection: Connection, workspace_id: UUID, version_id: UUID, last_words: str) -> None:
    """End the builds whose builder died."""
    await connection.execute(LOSE, workspace_id, version_id, last_words)
