"""Aliases of models: names such as `production` that point at a version, and what each pointed at before."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import model, model_alias, model_version
from resolvers.caller import Caller
from resolvers.errors import AliasMoved, ErrorCode, Refusal, along_with, invalid, not_found, raise_all
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.transaction import Transaction, transaction

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}", re.ASCII)
RESERVED = "latest"
LIMIT = 100


@dataclass(frozen=True, slots=True)
class Expected:
    """What the alias has to point at as yet: a version, or nothing."""

    version: str | None


@dataclass(frozen=True, slots=True)
class SetRequest:
    model_name: str
    alias: str
    version: str
    expected: Expected | None


@dataclass(frozen=True, slots=True)
class RemoveRequest:
    model_name: str
    alias: str
    expected: Expected | None


@dataclass(frozen=True, slots=True)
class Period:
    """A time during which an alias points at a version."""

    id: UUID
    model_id: UUID


async def set_alias(
    installation: Installation, caller: Caller, request: SetRequest, *, idempotency_key: str | None
) -> Period:
    """Point an alias at a version: the period that begins, or goes on where it points there already.

    Raises Refusals.
    """
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _set(unit, request)

        period_id = await once(unit, mutation="setModelAlias", key=idempotency_key, request=asdict(request), act=act)
        return await _period(unit, period_id)


async def _set(unit: Transaction, request: SetRequest) -> UUID:
    refusals = list(_name_violations(request.alias))
    found = await along_with(refusals, _lock_model(unit, request.model_name))
    model_id: UUID = found["id"]
    version_id = await along_with(refusals, _lock_version(unit, request))
    raise_all(refusals)
    current = await model_alias.in_force(unit.connection, unit.workspace_id, model_id, request.alias)
    if current is not None and current["model_version_id"] == version_id:
        # Whoever asks again because the answer was lost has what was asked for.
        current_id: UUID = current["id"]
        return current_id
    _check_expected(request.expected, current)
    if current is None:
        await _check_room(unit, model_id)
    return await _move(unit, request, model_id, version_id, current)


async def _move(
    unit: Transaction, request: SetRequest, model_id: UUID, version_id: UUID, current: Record | None
) -> UUID:
    """One period ends and the next one begins at the same instant."""
    connection, workspace_id = unit.connection, unit.workspace_id
    moved_at = await model_alias.end(connection, workspace_id, current["id"], unit.actor) if current else None
    alias_id = await model_alias.begin(
        connection, workspace_id, model_id, request.alias, version_id, unit.actor, set_at=moved_at
    )
    await model.touch(connection, workspace_id, model_id)
    before = current["version"] if current else None
    unit.record("MODEL_ALIAS_SET", model_id, alias=request.alias, version=request.version, before=before)
    return alias_id


async def remove_alias(
    installation: Installation, caller: Caller, request: RemoveRequest, *, idempotency_key: str | None
) -> Period:
    """Let an alias point at nothing: the period that ended. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _remove(unit, request)

        period_id = await once(unit, mutation="removeModelAlias", key=idempotency_key, request=asdict(request), act=act)
        return await _period(unit, period_id)


async def _remove(unit: Transaction, request: RemoveRequest) -> UUID:
    found = await _lock_model(unit, request.model_name)
    model_id: UUID = found["id"]
    refusals = list(_name_violations(request.alias))
    raise_all(refusals)
    current = await model_alias.in_force(unit.connection, unit.workspace_id, model_id, request.alias)
    _check_expected(request.expected, current)
    if current is None:
        raise not_found(f"alias {request.alias!r} of the model {request.model_name!r}", path=["alias"])
    await model_alias.end(unit.connection, unit.workspace_id, current["id"], unit.actor)
    await model.touch(unit.connection, unit.workspace_id, model_id)
    unit.record("MODEL_ALIAS_REMOVED", model_id, alias=request.alias, before=current["version"])
    alias_id: UUID = current["id"]
    return alias_id


async def _period(unit: Transaction, period_id: UUID) -> Period:
    return Period(period_id, await model_alias.model_of(unit.connection, unit.workspace_id, period_id))


async def _lock_model(unit: Transaction, name: str) -> Record:
    found = await model.lock_by_name(unit.connection, unit.workspace_id, name)
    if found is None or found["deleted_at"] is not None:
        raise not_found(f"model named {name!r}", path=["modelName"])
    return found


async def _lock_version(unit: Transaction, request: SetRequest) -> UUID:
    """The id of a version that an alias may point at. Held so that it cannot be deleted meanwhile."""
    version_id = await find_id(unit, request.model_name, request.version, path=[])
    row = await model_version.lock(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    if row["status"] != "NORMAL":
        raise Refusal(
            ErrorCode.MODEL_VERSION_NOT_READY,
            f"{request.model_name} {request.version} is {row['status']}; an alias points at a NORMAL version.",
            path=["version"],
        )
    return version_id


async def _check_room(unit: Transaction, model_id: UUID) -> None:
    if await model_alias.count(unit.connection, unit.workspace_id, model_id) >= LIMIT:
        raise invalid(f"A model has at most {LIMIT} aliases.", path=["alias"], hint="Remove one that is not needed.")


def _check_expected(expected: Expected | None, current: Record | None) -> None:
    version = current["version"] if current else None
    if expected is not None and expected.version != version:
        raise AliasMoved(expected.version, version)


def _name_violations(name: str) -> Iterator[Refusal]:
    if NAME.fullmatch(name) is None:
        yield invalid("An alias has 1 to 64 characters: a letter, then also digits, - and _.", path=["alias"])
    elif name.lower() == RESERVED:
        yield invalid(
            f"{name!r} is not an alias: the highest NORMAL version is `latestVersion` of the model.",
            path=["alias"],
            hint="Ask for model { latestVersion }, or choose another name.",
        )
