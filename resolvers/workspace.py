"""Workspaces and tokens: who may ask, and where."""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from asyncpg import Record

from db import workspace
from db.connection import Connection, Pool
from resolvers.caller import Caller, Workspace
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    Refusal,
    RevisionConflict,
    UnknownToken,
    UnknownWorkspace,
    invalid,
)
from resolvers.idempotency import once
from resolvers.installation import DEFAULT_STORE, Installation
from resolvers.scan_policy import ScanAction
from resolvers.transaction import Transaction, transaction

DEFAULT_WORKSPACE = "default"
# What events call the tokens that were not made on the command line.
SETTING_TOKEN = "MODELYARD_TOKEN"
DEFAULT_TOKEN = "default"
# Names as ModelArts has them (creating a workspace: 4 to 64 characters); ours may be shorter.
WORKSPACE_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}")
TOKEN_NAME = re.compile(r"[A-Za-z0-9_.@\-]{1,64}")
SCAN_COLUMNS = MappingProxyType(
    {"suspicious": "suspicious_pickles", "unknown": "unknown_pickles", "notScanned": "unscanned_files"}
)
OWN_PREFIX = "workspaces/"
BLOB_PREFIX = "blobs/"


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """32 random bytes, as text that a shell leaves alone."""
    return f"my_{secrets.token_urlsafe(32)}"


async def sign_in(pool: Pool, token: str | None, workspace_name: str | None) -> Caller:
    """Who a token belongs to, in the workspace that the request picks.

    Raises UnknownToken; UnknownWorkspace where the token is not good for it, or for several and none is picked.
    """
    rows = await workspace.sign_in(pool, digest(token)) if token else []
    if not rows:
        if token:
            raise UnknownToken("This token is not known here, or was revoked.")
        raise UnknownToken("Send a token, as `Authorization: Bearer <token>`.")
    workspaces = tuple(Workspace(row["id"], row["name"], row["created_at"]) for row in rows)
    return Caller(rows[0]["token_name"], _pick(workspaces, workspace_name), workspaces)


def _pick(workspaces: Sequence[Workspace], name: str | None) -> Workspace:
    names = ", ".join(workspace.name for workspace in workspaces)
    if name is None:
        if len(workspaces) == 1:
            return workspaces[0]
        raise UnknownWorkspace(f"This token is good for several workspaces; name one in X-Workspace: {names}.")
    for candidate in workspaces:
        if candidate.name == name:
            return candidate
    raise UnknownWorkspace(f"This token is not good for a workspace named {name!r}. It is good for: {names}.")


async def workspaces_of(pool: Pool, token: str) -> frozenset[UUID]:
    """The workspaces that a token is good for; none for an unknown token."""
    return frozenset(row["id"] for row in await workspace.sign_in(pool, digest(token)))


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """What to do by what a scan found, by the names of SCAN_COLUMNS; None goes back to the installation's setting."""

    scan_policy: Mapping[str, ScanAction | None]
    expected_revision: int | None


async def update(
    installation: Installation, caller: Caller, request: UpdateRequest, *, idempotency_key: str | None
) -> UUID:
    """Change what was chosen for the caller's workspace: its id. Raises RevisionConflict."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _update(unit, request)

        asked = {"scanPolicy": dict(request.scan_policy), "expectedRevision": request.expected_revision}
        return await once(unit, mutation="updateWorkspace", key=idempotency_key, request=asked, act=act)


async def _update(unit: Transaction, request: UpdateRequest) -> UUID:
    row = await workspace.lock(unit.connection, unit.workspace_id)
    if request.expected_revision is not None and row["revision"] != request.expected_revision:
        raise RevisionConflict(request.expected_revision, row["revision"])
    chosen = {name: row[column] for name, column in SCAN_COLUMNS.items()}
    wanted = {**chosen, **request.scan_policy}
    if wanted != chosen:
        columns = {column: wanted[name] for name, column in SCAN_COLUMNS.items()}
        await workspace.choose(unit.connection, unit.workspace_id, **columns)
        unit.record("WORKSPACE_UPDATED", unit.workspace_id, scanPolicy=wanted)
    return unit.workspace_id


async def revision(pool: Pool, workspace_id: UUID) -> int:
    """How often a workspace's settings were changed, from 1."""
    number: int = (await workspace.settings(pool, workspace_id))["revision"]
    return number


async def create_workspace(pool: Pool, *, name: str) -> None:
    if WORKSPACE_NAME.fullmatch(name) is None:
        raise invalid(
            "A workspace's name has 1 to 64 characters: letters, digits, hyphens, underscores.", path=["name"]
        )
    async with pool.acquire() as connection, connection.transaction():
        if await workspace.create(connection, name) is None:
            raise AlreadyExists(f"There is a workspace named {name!r} already.", path=["name"])


async def list_workspaces(pool: Pool) -> list[Workspace]:
    return [Workspace(row["id"], row["name"], row["created_at"]) for row in await workspace.list_all(pool)]


async def grant_prefix(pool: Pool, *, name: str, store: str, prefix: str) -> None:
    """Let a workspace read what lies under a prefix of a store; those of workspaces and blobs are not granted."""
    if store != DEFAULT_STORE:
        raise invalid(f"There is no store named {store!r}; there is {DEFAULT_STORE}.", path=["store"])
    cleaned = prefix.strip("/") + "/"
    if cleaned == "/" or any(part in ("", ".", "..") for part in cleaned[:-1].split("/")):
        raise invalid("A prefix is a folder inside the store, such as shared/training.", path=["prefix"])
    if cleaned.startswith((OWN_PREFIX, BLOB_PREFIX)):
        raise invalid(f"What lies under {OWN_PREFIX} and {BLOB_PREFIX} is not granted to others.", path=["prefix"])
    found = await workspace.find(pool, name)
    if found is None:
        raise _no_workspace(name)
    await workspace.grant(pool, found["id"], store, cleaned)


async def create_token(pool: Pool, *, name: str, workspaces: Sequence[str]) -> str:
    """Make a token that is good for these workspaces; the answer is the only place where it is ever shown."""
    if TOKEN_NAME.fullmatch(name) is None:
        raise invalid("A token's name has 1 to 64 characters: letters, digits and - _ . @", path=["name"])
    if name in (SETTING_TOKEN, DEFAULT_TOKEN):
        raise invalid(f"{name} is what events call the installation's own token; choose another name.", path=["name"])
    token = new_token()
    async with pool.acquire() as connection, connection.transaction():
        ids = [await _workspace_id(connection, workspace_name) for workspace_name in workspaces]
        if not await workspace.create_token(connection, name, digest(token), "CREATED", ids):
            raise AlreadyExists(f"There is a token named {name!r} already.", path=["name"])
    return token


async def list_tokens(pool: Pool) -> list[Record]:
    """Name, kind, time and workspaces of every token, never the token."""
    return await workspace.list_tokens(pool)


async def revoke_token(pool: Pool, *, name: str) -> None:
    if not await workspace.delete_token(pool, name):
        raise Refusal(ErrorCode.NOT_FOUND, f"There is no token named {name!r}.", path=["name"])


async def settle(pool: Pool, *, setting: str | None, default: str | None) -> None:
    """Have the default workspace, and let the setting's token or else the default one be good for it, no older one."""
    kept = setting or default
    async with pool.acquire() as connection, connection.transaction():
        found = await workspace.create(connection, DEFAULT_WORKSPACE) or await workspace.find(
            connection, DEFAULT_WORKSPACE
        )
        assert found is not None
        sha256 = digest(kept) if kept else b""
        await workspace.delete_tokens_of_kind(connection, ["SETTING", "DEFAULT"], except_sha256=sha256)
        if kept:
            kind = "SETTING" if setting else "DEFAULT"
            name = SETTING_TOKEN if setting else DEFAULT_TOKEN
            await workspace.create_token(connection, name, sha256, kind, [found["id"]])


async def _workspace_id(connection: Connection, name: str) -> UUID:
    found = await workspace.find(connection, name)
    if found is None:
        raise _no_workspace(name)
    workspace_id: UUID = found["id"]
    return workspace_id


def _no_workspace(name: str) -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, f"There is no workspace named {name!r}.", path=["workspace"])
