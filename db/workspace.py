"""Workspaces, the prefixes granted to them, and the tokens that are good for them."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from db.connection import Connection, Queryable

CREATE = """
INSERT INTO workspace (name)
VALUES ($1)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, created_at
"""
CREATE_EVENT_COUNTER = """
INSERT INTO event_counter (workspace_id)
VALUES ($1)
"""
LIST = """
SELECT id, name, created_at
FROM workspace
ORDER BY name
"""
FIND = """
SELECT id, name, created_at
FROM workspace
WHERE name = $1
"""
SETTINGS = """
SELECT suspicious_pickles, unknown_pickles, unscanned_files, revision
FROM workspace
WHERE id = $1
"""
LOCK = """
SELECT suspicious_pickles, unknown_pickles, unscanned_files, revision
FROM workspace
WHERE id = $1
FOR NO KEY UPDATE
"""
CHOOSE = """
UPDATE workspace
SET suspicious_pickles = $2, unknown_pickles = $3, unscanned_files = $4, revision = revision + 1
WHERE id = $1
"""
GRANT = """
INSERT INTO granted_prefix (workspace_id, store, prefix)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
"""
GRANTED = """
SELECT store, prefix
FROM granted_prefix
WHERE workspace_id = $1
ORDER BY store, prefix
"""
CREATE_TOKEN = """
INSERT INTO api_token (name, sha256, kind)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING id
"""
ADD_TOKEN_WORKSPACE = """
INSERT INTO api_token_workspace (api_token_id, workspace_id)
VALUES ($1, $2)
ON CONFLICT DO NOTHING
"""
LIST_TOKENS = """
SELECT api_token.name, api_token.kind, api_token.created_at,
    array_agg(workspace.name ORDER BY workspace.name) AS workspaces
FROM api_token
JOIN api_token_workspace ON api_token_workspace.api_token_id = api_token.id
JOIN workspace ON workspace.id = api_token_workspace.workspace_id
GROUP BY api_token.id
ORDER BY api_token.name
"""
DELETE_TOKEN = """
DELETE FROM api_token
WHERE name = $1
RETURNING id
"""
DELETE_TOKENS_OF_KIND = """
DELETE FROM api_token
WHERE kind = ANY($1::text[])
AND sha256 <> $2
"""
SIGN_IN = """
SELECT api_token.id AS token_id, api_token.name AS token_name, api_token.kind AS token_kind,
    workspace.id, workspace.name, workspace.created_at
FROM api_token
JOIN api_token_workspace ON api_token_workspace.api_token_id = api_token.id
JOIN workspace ON workspace.id = api_token_workspace.workspace_id
WHERE api_token.sha256 = $1
ORDER BY workspace.name
"""


async def create(connection: Connection, name: str) -> Record | None:
    """The new workspace, or None where the name is taken."""
    row = await connection.fetchrow(CREATE, name)
    if row is not None:
        await connection.execute(CREATE_EVENT_COUNTER, row["id"])
    return row


async def find(connection: Queryable, name: str) -> Record | None:
    return await connection.fetchrow(FIND, name)


async def list_all(connection: Queryable) -> list[Record]:
    return await connection.fetch(LIST)


async def settings(connection: Queryable, workspace_id: UUID) -> Record:
    """What the workspace chose, and its revision."""
    row = await connection.fetchrow(SETTINGS, workspace_id)
    assert row is not None
    return row


async def lock(connection: Connection, workspace_id: UUID) -> Record:
    """The same, locked until the transaction ends. What refers to the workspace can still be inserted meanwhile."""
    row = await connection.fetchrow(LOCK, workspace_id)
    assert row is not None
    return row


async def choose(
    connection: Connection,
    workspace_id: UUID,
    *,
    suspicious_pickles: str | None,
    unknown_pickles: str | None,
    unscanned_files: str | None,
) -> None:
    await connection.execute(CHOOSE, workspace_id, suspicious_pickles, unknown_pickles, unscanned_files)


async def grant(connection: Queryable, workspace_id: UUID, store: str, prefix: str) -> None:
    await connection.execute(GRANT, workspace_id, store, prefix)


async def granted(connection: Queryable, workspace_id: UUID) -> list[Record]:
    return await connection.fetch(GRANTED, workspace_id)


async def create_token(connection: Connection, name: str, sha256: bytes, kind: str, workspaces: Sequence[UUID]) -> bool:
    """Whether the token is new: its name or its hash may be taken."""
    token_id = await connection.fetchval(CREATE_TOKEN, name, sha256, kind)
    if token_id is None:
        return False
    await connection.executemany(ADD_TOKEN_WORKSPACE, [(token_id, workspace_id) for workspace_id in workspaces])
    return True


async def list_tokens(connection: Queryable) -> list[Record]:
    return await connection.fetch(LIST_TOKENS)


async def delete_token(connection: Queryable, name: str) -> bool:
    return await connection.fetchval(DELETE_TOKEN, name) is not None


async def delete_tokens_of_kind(connection: Queryable, kinds: Sequence[str], *, except_sha256: bytes) -> None:
    await connection.execute(DELETE_TOKENS_OF_KIND, kinds, except_sha256)


async def sign_in(connection: Queryable, sha256: bytes) -> list[Record]:
    """A row per workspace that the token is good for; none for an unknown token."""
    return await connection.fetch(SIGN_IN, sha256)
