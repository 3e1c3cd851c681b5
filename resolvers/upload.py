"""Uploads: a training job version's output goes straight to storage, in presigned parts."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from asyncpg import Record

from artifacts.object_store import InvalidKey, ObjectStore, StoreError, StoreUnavailable, UploadIncomplete, is_key
from db import training_job, upload
from db.upload import NewFile
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, along_with, invalid, not_found, raise_all
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.operation_attempt import store_code
from resolvers.training_job import find_version_id
from resolvers.training_output import look
from resolvers.transaction import Transaction, transaction

__all__ = ["CreateRequest", "NewFile", "PresignedPart", "UploadFile", "complete", "create", "presigned_parts"]

FILES = 1_000
PATH_LENGTH = 800
SIZE_LIMIT_BYTES = 5 * 2**40
CONCURRENCY = 8
KEPT = "what was uploaded is kept until the upload expires."
ASK_AGAIN = {
    ErrorCode.STORE_UNAVAILABLE: f"Ask again when the store answers; {KEPT}",
    ErrorCode.STORE_DENIED: f"The operator must let this server read and write the store; then ask again: {KEPT}",
    ErrorCode.STORE_FULL: f"Ask again when the store has room; {KEPT}",
}


@dataclass(frozen=True, slots=True)
class CreateRequest:
    training_job_name: str
    version_name: str
    files: Sequence[NewFile]


@dataclass(frozen=True, slots=True)
class PresignedPart:
    number: int
    offset_bytes: int
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file that was announced; `store_upload_id` is the store's own, once that upload has begun."""

    workspace_id: UUID
    upload_id: UUID
    number: int
    path: str
    size_bytes: int
    store_upload_id: str | None


async def create(
    installation: Installation, caller: Caller, request: CreateRequest, *, idempotency_key: str | None
) -> UUID:
    """Announce files below a version's output location. Raises Refusals."""
    refusals = _violations(request.files)
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _insert(installation, unit, request, refusals)

        return await once(unit, mutation="createUpload", key=idempotency_key, request=asdict(request), act=act)


async def _insert(
    installation: Installation, unit: Transaction, request: CreateRequest, refusals: Sequence[Refusal]
) -> UUID:
    version_id = await along_with(
        refusals, find_version_id(unit, request.training_job_name, request.version_name, path=[])
    )
    version = await training_job.find_version(unit.connection, unit.workspace_id, version_id)
    assert version is not None
    raise_all([*refusals, *_output_violations(version)])
    expires_at = datetime.now(UTC) + timedelta(seconds=installation.rules.upload_expires_seconds)
    upload_id = await upload.insert(
        unit.connection, unit.workspace_id, version_id, request.files, expires_at, unit.actor
    )
    unit.record("UPLOAD_CREATED", upload_id, files=len(request.files))
    return upload_id


def _output_violations(version: Record) -> Iterator[Refusal]:
    if not version["is_output_assigned"]:
        yield Refusal(
            ErrorCode.LOCATION_READ_ONLY,
            f"The output of {version['name']} lies in a granted prefix, which is for reading.",
            path=["versionName"],
            hint="Put the files there by the means that the owner of the prefix offers, "
            "or record a version without an output: it gets a location of this workspace.",
        )


async def presigned_parts(installation: Installation, row: UploadFile) -> list[PresignedPart]:
    """Where a file's parts are to be PUT. The store's own upload begins when this is first asked for.

    Raises Refusal (STORE_UNAVAILABLE, STORE_DENIED, STORE_FULL).
    """
    try:
        return await _presigned_parts(installation, row)
    except StoreError as failure:
        raise _store_failed(failure) from failure


async def _presigned_parts(installation: Installation, row: UploadFile) -> list[PresignedPart]:
    found = await upload.find(installation.pool, row.workspace_id, row.upload_id)
    assert found is not None
    expires_seconds = int((found["expires_at"] - datetime.now(UTC)).total_seconds())
    if found["state"] != "OPEN" or expires_seconds <= 0:
        return []
    store, key = await _target(installation, found, row.path)
    store_upload_id = row.store_upload_id or await _begin(installation, store, key, row)
    return [
        PresignedPart(
            part.number,
            part.offset_bytes,
            part.size_bytes,
            await store.presign_part(key, store_upload_id, part, expires_seconds=expires_seconds),
        )
        for part in store.parts(row.size_bytes)
    ]


async def _begin(installation: Installation, store: ObjectStore, key: str, row: UploadFile) -> str:
    begun = await store.begin_upload(key, row.size_bytes)
    identity = (row.workspace_id, row.upload_id)
    if await upload.set_store_upload(installation.pool, *identity, row.number, begun):
        return begun
    await store.abort_upload(key, begun)
    rows = await upload.files(installation.pool, *identity)
    stored: str = next(other["store_upload_id"] for other in rows if other["number"] == row.number)
    return stored


async def complete(installation: Installation, caller: Caller, upload_id: UUID | None) -> UUID:
    """Put the parts of every file together. What is missing is named; nothing is lost by asking again.

    Raises Refusals: UPLOAD_INCOMPLETE for each file that lacks parts, UPLOAD_EXPIRED, NOT_FOUND.
    """
    workspace_id = caller.workspace.id
    found = upload_id and await upload.find(installation.pool, workspace_id, upload_id)
    if not found or upload_id is None:
        raise not_found("upload of that id", path=["uploadId"])
    if found["state"] == "COMPLETED":
        return upload_id
    if found["state"] == "EXPIRED" or found["expires_at"] <= datetime.now(UTC):
        raise Refusal(
            ErrorCode.UPLOAD_EXPIRED,
            f"The upload expired at {found['expires_at'].isoformat()}.",
            path=["uploadId"],
            hint="Create a new one; what was not completed is not kept.",
        )
    raise_all(
        await _complete_files(installation, found, await upload.files(installation.pool, workspace_id, upload_id))
    )
    await _look_at_output(installation, found)
    async with transaction(installation.pool, workspace_id, caller.actor) as unit:
        if await upload.complete(unit.connection, workspace_id, upload_id):
            unit.record("UPLOAD_COMPLETED", upload_id)
            unit.record("TRAINING_JOB_OUTPUT_UPLOADED", found["training_job_version_id"])
    return upload_id


async def _look_at_output(installation: Installation, found: Record) -> None:
    """What is acknowledged can be imported. Raises Refusal (STORE_UNAVAILABLE) where that cannot be seen to."""
    if await look(installation, found["workspace_id"], found["training_job_version_id"]) is None:
        raise Refusal(
            ErrorCode.STORE_UNAVAILABLE,
            "The files are in their places, but the store does not tell what lies there.",
            path=["uploadId"],
            hint=ASK_AGAIN[ErrorCode.STORE_UNAVAILABLE],
        )


async def _complete_files(installation: Installation, found: Record, rows: Sequence[Record]) -> list[Refusal]:
    limit = asyncio.Semaphore(CONCURRENCY)

    async def complete_one(row: Record) -> Refusal | None:
        async with limit:
            return await _complete_file(installation, found, row)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(complete_one(row)) for row in rows]
    return [refusal for task in tasks if (refusal := task.result())]


async def _complete_file(installation: Installation, found: Record, row: Record) -> Refusal | None:
    try:
        store, key = await _target(installation, found, row["path"])
        if row["store_upload_id"] is not None:
            await store.complete_upload(key, row["store_upload_id"], row["size_bytes"])
            return None
        missing = [part.number for part in store.parts(row["size_bytes"])]
    except UploadIncomplete as incomplete:
        missing = list(incomplete.missing)
    except StoreError as failure:
        return _store_failed(failure)
    shown = ", ".join(str(number) for number in missing[:10]) + (", …" if len(missing) > 10 else "")
    return Refusal(
        ErrorCode.UPLOAD_INCOMPLETE,
        f"{row['path']} is not complete: part {shown} is missing or has another size than announced.",
        path=["uploadId"],
        hint="PUT exactly the bytes of each part to its url, then complete the upload again.",
    )


def _store_failed(failure: StoreError) -> Refusal:
    if isinstance(failure, InvalidKey):
        hint = "What lies there was uploaded earlier. Announce the file under another path."
        return invalid(str(failure), path=["uploadId"], hint=hint)
    code = store_code(failure)
    return Refusal(code, str(failure), path=["uploadId"], hint=ASK_AGAIN[code])


async def _target(installation: Installation, found: Record, path: str) -> tuple[ObjectStore, str]:
    """Where a file goes. Raises StoreUnavailable where its store is no longer set."""
    version = await training_job.find_version(
        installation.pool, found["workspace_id"], found["training_job_version_id"]
    )
    assert version is not None
    store = installation.stores.get(version["output_store"])
    if store is None:
        raise StoreUnavailable(version["output_store"], "it is not among this installation's")
    return store, f"{version['output_key']}/{path}"


def _violations(files: Sequence[NewFile]) -> list[Refusal]:
    refusals = []
    if not 1 <= len(files) <= FILES:
        refusals.append(invalid(f"An upload has 1 to {FILES} files; make several for more.", path=["files"]))
    paths: set[str] = set()
    ordered = sorted(file.path for file in files[:FILES])
    for position, file in enumerate(files[:FILES]):
        path = ["files", str(position)]
        if problem := _path_problem(file.path):
            refusals.append(invalid(problem, path=[*path, "path"]))
        if file.path in paths:
            refusals.append(invalid(f"{file.path!r} is given twice.", path=[*path, "path"]))
        if _holds_any(f"{file.path}/", ordered):
            refusals.append(invalid(f"{file.path!r} is the folder of another file.", path=[*path, "path"]))
        paths.add(file.path)
        if not 0 <= file.size_bytes <= SIZE_LIMIT_BYTES:
            refusals.append(invalid("A file's size is 0 to 5 TiB, in bytes.", path=[*path, "sizeBytes"]))
    return refusals


def _holds_any(folder: str, ordered: Sequence[str]) -> bool:
    return any(path.startswith(folder) for path in ordered[bisect_left(ordered, folder) :][:1])


def _path_problem(path: str) -> str | None:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") for part in parts):
        return "A path lies below the output location, such as model/config.json, without empty parts, . or .."
    if len(path.encode(errors="replace")) > PATH_LENGTH or any(
        len(part.encode(errors="replace")) > 200 for part in parts
    ):
        return f"A path has at most {PATH_LENGTH} bytes, each of its parts at most 200."
    if "\\" in path or not is_key(path):
        return "A path cannot hold control characters or backslashes."
    return None
