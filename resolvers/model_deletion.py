"""The end of models and of their versions: deletion, which whoever relies on one prevents, and the way back."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import Record

from db import model, model_deletion, model_version
from resolvers import version_number
from resolvers.caller import Caller
from resolvers.errors import (
    ErrorCode,
    Refusal,
    not_found,
    raise_all,
    revision_violations,
)
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.model_version import VersionName
from resolvers.operation_attempt import problem_row
from resolvers.transaction import Transaction, transaction
from resolvers.version_user import use_violations

UNSUBSCRIBE = "Unsubscribe instead."
SUBSCRIBE = "Subscribe again instead."


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """A version to delete or to restore."""

    model_version: VersionName
    expected_revision: int | None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model to delete or to restore."""

    model_name: str
    expected_revision: int | None


async def delete_version(
    installation: Installation, caller: Caller, request: VersionRequest, *, idempotency_key: str | None
) -> UUID:
    """Delete a version that nothing relies on: its id. Its import ends with it. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _delete_version(installation, unit, request)

        return await once(unit, mutation="deleteModelVersion", key=idempotency_key, request=asdict(request), act=act)


async def _delete_version(installation: Installation, unit: Transaction, request: VersionRequest) -> UUID:
    _, version = await _find(unit, request.model_version)
    if version["deleted_at"] is not None:
        raise _no_such_version(request.model_version)
    version_id: UUID = version["id"]
    await model_deletion.cancel_operations(unit.connection, unit.workspace_id, [version_id])
    (row,) = await model_deletion.lock(unit.connection, unit.workspace_id, [version_id])
    used = await use_violations(unit, [version_id], path=["modelVersion"])
    raise_all([*_objections(row, request.expected_revision, path=["modelVersion"]), *used])
    await _delete(installation, unit, [version_id])
    await model.touch(unit.connection, unit.workspace_id, version["model_id"])
    return version_id


async def delete_model(
    installation: Installation, caller: Caller, request: ModelRequest, *, idempotency_key: str | None
) -> UUID:
    """Delete a model with all its versions, or none of them where anything relies on one: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _delete_model(installation, unit, request)

        return await once(unit, mutation="deleteModel", key=idempotency_key, request=asdict(request), act=act)


async def _delete_model(installation: Installation, unit: Transaction, request: ModelRequest) -> UUID:
    found = await model.lock_by_name(unit.connection, unit.workspace_id, request.model_name)
    if found is None or found["deleted_at"] is not None:
        raise not_found(f"model named {request.model_name!r}", path=["modelName"])
    model_id: UUID = found["id"]
    version_ids = await model_deletion.versions_of_model(unit.connection, unit.workspace_id, model_id)
    await model_deletion.cancel_operations(unit.connection, unit.workspace_id, version_ids)
    await model_deletion.lock(unit.connection, unit.workspace_id, version_ids)
    used = await use_violations(unit, version_ids, path=["modelName"])
    raise_all([*_objections(found, request.expected_revision, path=["modelName"]), *used])
    await _delete(installation, unit, version_ids)
    await model_deletion.delete_model(unit.connection, unit.workspace_id, model_id, unit.actor)
    unit.record("MODEL_DELETED", model_id, name=found["name"], versions=len(version_ids))
    return model_id


async def restore_version(
    installation: Installation, caller: Caller, request: VersionRequest, *, idempotency_key: str | None
) -> UUID:
    """Undo the deletion of a version, and of its model where that was deleted too: its id. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _restore(unit, request)

        return await once(unit, mutation="restoreModelVersion", key=idempotency_key, request=asdict(request), act=act)


async def _restore(unit: Transaction, request: VersionRequest) -> UUID:
    found, version = await _find(unit, request.model_version)
    version_id: UUID = version["id"]
    (row,) = await model_deletion.lock(unit.connection, unit.workspace_id, [version_id])
    if row["purged_at"] is not None:
        raise _no_such_version(request.model_version)
    objections = _objections(row, request.expected_revision, path=["modelVersion"], hint=SUBSCRIBE)
    raise_all([*objections, *_not_deleted(row)])
    if not await model_deletion.restore(unit.connection, unit.workspace_id, [version_id]):
        raise _expired("version", path=["modelVersion"])
    if found["deleted_at"] is not None:
        await model_deletion.restore_model(unit.connection, unit.workspace_id, found["id"])
        unit.record("MODEL_RESTORED", found["id"], name=found["name"])
    else:
        await model.touch(unit.connection, unit.workspace_id, found["id"])
    unit.record("MODEL_VERSION_RESTORED", version_id)
    return version_id


async def restore_model(
    installation: Installation, caller: Caller, request: ModelRequest, *, idempotency_key: str | None
) -> UUID:
    """Undo the deletion of a model, with the versions that went with it: its id. Raises Refusals.

    Versions that were deleted before it stay deleted: somebody wanted that of each.
    """
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _restore_model(unit, request)

        return await once(unit, mutation="restoreModel", key=idempotency_key, request=asdict(request), act=act)


async def _restore_model(unit: Transaction, request: ModelRequest) -> UUID:
    found = await model.lock_by_name(unit.connection, unit.workspace_id, request.model_name)
    if found is None:
        raise not_found(f"model named {request.model_name!r}", path=["modelName"])
    objections = _objections(found, request.expected_revision, path=["modelName"], hint=SUBSCRIBE)
    raise_all([*objections, *_model_not_deleted(found)])
    model_id: UUID = found["id"]
    version_ids = await model_deletion.deleted_with_model(unit.connection, unit.workspace_id, model_id)
    await model_deletion.lock(unit.connection, unit.workspace_id, version_ids)
    restored_ids = await model_deletion.restore(unit.connection, unit.workspace_id, version_ids)
    if version_ids and not restored_ids:
        raise _expired("model", path=["modelName"])
    await model_deletion.restore_model(unit.connection, unit.workspace_id, model_id)
    unit.record("MODEL_RESTORED", model_id, name=found["name"], versions=len(restored_ids))
    for version_id in restored_ids:
        unit.record("MODEL_VERSION_RESTORED", version_id)
    return model_id


async def _find(unit: Transaction, name: VersionName) -> tuple[Record, Record]:
    """A version that may be deleted, and its model, whose row is locked. Raises Refusal (NOT_FOUND)."""
    found = await model.lock_by_name(unit.connection, unit.workspace_id, name.model_name)
    if found is None:
        raise not_found(f"model named {name.model_name!r}", path=["modelVersion", "modelName"])
    number = version_number.parse(name.version)
    if number is not None:
        row = await model_version.find_by_name(unit.connection, unit.workspace_id, name.model_name, number)
        if row is not None:
            return found, row
    raise _no_such_version(name)


def _no_such_version(name: VersionName) -> Refusal:
    return not_found(f"version {name.version!r} of the model {name.model_name!r}", path=["modelVersion", "version"])


def _objections(
    row: Record, expected_revision: int | None, *, path: Sequence[str], hint: str = UNSUBSCRIBE
) -> Iterator[Refusal]:
    """What stands against it by what is known of the model or the version."""
    yield from revision_violations(expected_revision, row["revision"])
    if row["is_subscribed"]:
        yield Refusal(
            ErrorCode.MODEL_SUBSCRIBED,
            "It is subscribed to in the market; its publisher's versions come and go with the subscription.",
            path=path,
            hint=hint,
        )


async def _delete(installation: Installation, unit: Transaction, version_ids: Sequence[UUID]) -> None:
    broken_off = problem_row(
        ErrorCode.IMPORT_CANCELLED, "The version was deleted while it was imported.", hint="retryImport tries again."
    )
    await model_deletion.delete(
        unit.connection,
        unit.workspace_id,
        version_ids,
        unit.actor,
        restore_days=installation.rules.restore_days,
        broken_off=[broken_off],
    )
    for version_id in version_ids:
        unit.record("MODEL_VERSION_DELETED", version_id)


def _not_deleted(row: Record) -> list[Refusal]:
    if row["deleted_at"] is not None:
        return []
    return [Refusal(ErrorCode.INVALID_STATE, "The version is not deleted.", path=["modelVersion"])]


def _model_not_deleted(row: Record) -> list[Refusal]:
    if row["deleted_at"] is not None:
        return []
    hint = "restoreModelVersion brings back single versions of it."
    return [Refusal(ErrorCode.INVALID_STATE, "The model is not deleted.", path=["modelName"], hint=hint)]


def _expired(what: str, *, path: Sequence[str]) -> Refusal:
    return Refusal(
        ErrorCode.RESTORE_EXPIRED,
        f"The time in which the {what} could be restored is over.",
        path=path,
        hint="Import it again from its source; it gets a new number.",
    )
