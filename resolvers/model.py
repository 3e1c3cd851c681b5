"""Models: asking for the import of a version, and for another try at one that failed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from uuid import UUID

from asyncpg import Record

from db import environment_build, model, model_version
from resolvers import version_number
from resolvers.caller import Caller
from resolvers.dependency_choice import stored_dependencies
from resolvers.errors import (
    AlreadyExists,
    ErrorCode,
    Refusal,
    along_with,
    invalid,
    not_found,
    raise_all,
    revision_violations,
)
from resolvers.idempotency import once
from resolvers.import_request import ImportRequest, RetryRequest, new_version, retry_violations, violations
from resolvers.import_source import FoundSource, SourceKind, find_source
from resolvers.installation import Installation
from resolvers.operation import OperationKind
from resolvers.source_look import look_at_source
from resolvers.transaction import Transaction, transaction

FAILED_STATUSES = frozenset({"IMPORT_FAILED", "BUILD_FAILED"})


async def import_model(
    installation: Installation, caller: Caller, request: ImportRequest, *, idempotency_key: str | None
) -> UUID:
    """Ask for a model to be imported: the new version's id, which is IMPORTING from now on.

    Raises Refusals: all that the request and our own rows show. What only storage shows is found by the operation.
    """
    refusals = violations(installation, request)
    await look_at_source(installation, caller, request.source)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _insert(installation, unit, request, refusals)

        return await once(unit, mutation="importModel", key=idempotency_key, request=asdict(request), act=act)


async def _insert(
    installation: Installation, unit: Transaction, request: ImportRequest, refusals: Sequence[Refusal]
) -> UUID:
    known = [*refusals, *await name_violations(unit, request)]
    source = await find_source(installation, unit, request.source, known)
    version_id = await _allocate(unit, request, source)
    unit.record("MODEL_VERSION_IMPORT_REQUESTED", version_id, model=request.name)
    await unit.queue(OperationKind.IMPORT_MODEL, version_id)
    return version_id


async def name_violations(unit: Transaction, request: ImportRequest) -> list[Refusal]:
    """Told together with everything else; what others take meanwhile is found when the number is given out."""
    existing = await model.find(unit.connection, unit.workspace_id, name=request.name)
    if existing is None:
        return []
    if existing["publisher_model_id"] is not None and existing["deleted_at"] is None:
        return [_subscribed(request.name)]
    number = version_number.parse(request.version) if request.version is not None else None
    if number is None:
        return []
    if await model_version.find_by_name(unit.connection, unit.workspace_id, request.name, number) is None:
        return []
    return [_already_exists(request.name, number, existing["last_version_number"])]


def _subscribed(name: str) -> Refusal:
    """ModelArts.3075."""
    return Refusal(
        ErrorCode.MODEL_SUBSCRIBED,
        f"{name} was subscribed to in the market; only its publisher makes new versions of it.",
        path=["name"],
        hint="Import under another name.",
    )


def _already_exists(name: str, number: int, last_version_number: int) -> AlreadyExists:
    return AlreadyExists(
        f"The version {version_number.text(number)} of {name} is in use or was used once.",
        path=["version"],
        next_version=version_number.following(last_version_number),
    )


async def _allocate(unit: Transaction, request: ImportRequest, source: FoundSource) -> UUID:
    """Give out the version's number and insert its row. The number is unique whatever else is imported at the time."""
    number = version_number.parse(request.version) if request.version is not None else None
    given = await model.next_version(unit.connection, unit.workspace_id, request.name, unit.actor, number)
    if given.is_subscribed:
        raise _subscribed(request.name)
    if given.version_number > version_number.HIGHEST:
        raise numbers_exhausted(request.name)
    version_id = await model_version.insert(
        unit.connection,
        unit.workspace_id,
        given.model_id,
        request.name,
        given.version_number,
        new_version(request, source),
        unit.actor,
    )
    if version_id is None:
        raise _already_exists(request.name, given.version_number, given.last_version_number)
    if given.was_deleted:
        unit.record("MODEL_RESTORED", given.model_id, name=request.name)
    return version_id


def numbers_exhausted(name: str) -> Refusal:
    return invalid(
        f"{name} has used its last version number, 99.99.99.",
        path=["version"],
        hint="Name a version that has not been used, or import under another model name.",
    )


async def retry_import(
    installation: Installation, caller: Caller, request: RetryRequest, *, idempotency_key: str | None
) -> UUID:
    """Import a failed version again, under its number. Raises Refusals."""
    refusals = retry_violations(request)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _retry(unit, request, refusals)

        return await once(unit, mutation="retryImport", key=idempotency_key, request=asdict(request), act=act)


async def _retry(unit: Transaction, request: RetryRequest, refusals: Sequence[Refusal]) -> UUID:
    # Whoever deletes versions holds this lock, too: none is deleted between the next look and the new operation.
    await model.lock_by_name(unit.connection, unit.workspace_id, request.model_name)
    version_id = await along_with(refusals, find_id(unit, request.model_name, request.version, path=["modelVersion"]))
    row = await model_version.lock(unit.connection, unit.workspace_id, version_id)
    assert row is not None
    raise_all([*refusals, *_retry_violations(request, row)])
    await model_version.retry(
        unit.connection, unit.workspace_id, version_id, request.runtime, stored_dependencies(request.dependencies)
    )
    await environment_build.lose(unit.connection, unit.workspace_id, version_id, "")
    unit.record("MODEL_VERSION_IMPORT_RETRIED", version_id)
    await unit.queue(OperationKind.IMPORT_MODEL, version_id)
    return version_id


def _retry_violations(request: RetryRequest, row: Record) -> Iterator[Refusal]:
    """What stands against another try by what is known of the version."""
    yield from revision_violations(request.expected_revision, row["revision"])
    if row["status"] not in FAILED_STATUSES:
        yield Refusal(
            ErrorCode.INVALID_STATE,
            f"The version is {row['status']}; only an import that failed can be tried again.",
            path=["modelVersion"],
        )
    if row["source_kind"] == SourceKind.CONTAINER_IMAGE and (request.runtime or request.dependencies):
        field = "runtime" if request.runtime else "dependencies"
        yield invalid("A container image brings its own runtime and libraries.", path=[field], hint="Leave them out.")


async def find_id(unit: Transaction, model_name: str, version: str, *, path: Sequence[str]) -> UUID:
    """The id of a model's version that is not deleted. Raises Refusal (NOT_FOUND)."""
    number = version_number.parse(version)
    if number is not None:
        found = await model_version.find_by_name(unit.connection, unit.workspace_id, model_name, number)
        if found is not None and found["deleted_at"] is None:
            version_id: UUID = found["id"]
            return version_id
    if await model.find(unit.connection, unit.workspace_id, name=model_name) is None:
        raise not_found(f"model named {model_name!r}", path=[*path, "modelName"])
    raise not_found(f"version {version!r} of the model {model_name!r}", path=[*path, "version"])
