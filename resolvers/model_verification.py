"""Reading what is stored of a version again, and comparing it with what was imported."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

from asyncpg import Record

from artifacts.digest import manifest_digest
from artifacts.fan_out import for_each
from artifacts.object_store import ObjectNotFound, StoreError
from artifacts.package_directory import ArtifactDrift
from db import model_version, operation
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.model import find_id
from resolvers.operation import OperationKind
from resolvers.operation_attempt import (
    Attempt,
    Conduct,
    OperationFailed,
    drift_problem,
    problem_row,
    run_attempt,
    store_code,
)
from resolvers.progress import Progress
from resolvers.source_state import source_state
from resolvers.transaction import Transaction, transaction

# Each reads some chunks ahead and hashes in a thread of its own.
FILES_AT_ONCE = 4
PROBLEM_LIMIT = 100


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    model_name: str
    version: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was asked for: the ids of the version and of the operation."""

    version_id: UUID
    operation_id: UUID


async def verify_model_version(
    installation: Installation, caller: Caller, request: VerificationRequest, *, idempotency_key: str | None
) -> Verification:
    """Ask for a version to be verified; where that is under way already, that is answered. Raises Refusals."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _queue(unit, request)

        fields = asdict(request)
        operation_id = await once(unit, mutation="verifyModelVersion", key=idempotency_key, request=fields, act=act)
        row = await operation.find(unit.connection, unit.workspace_id, operation_id)
        assert row is not None
        return Verification(row["subject_id"], operation_id)


async def _queue(unit: Transaction, request: VerificationRequest) -> UUID:
    version_id = await find_id(unit, request.model_name, request.version, path=["modelVersion"])
    await model_version.lock(unit.connection, unit.workspace_id, version_id)
    # Whoever had it locked may have deleted it.
    await find_id(unit, request.model_name, request.version, path=["modelVersion"])
    version = await model_version.find(unit.connection, unit.workspace_id, version_id)
    assert version is not None
    if version["digest"] is None:
        raise Refusal(
            ErrorCode.INVALID_STATE,
            f"The version is {version['status']} and nothing is stored of it; there is nothing to verify.",
            path=["modelVersion"],
        )
    kind = OperationKind.VERIFY_MODEL_VERSION
    under_way = await operation.find_under_way(unit.connection, unit.workspace_id, version_id, kind)
    if under_way is None:
        under_way = await unit.queue(kind, version_id)
        unit.record("MODEL_VERSION_VERIFICATION_REQUESTED", version_id)
    operation_id: UUID = under_way["id"]
    return operation_id


async def run(installation: Installation, operation_id: UUID) -> None:
    """Verify what an operation asks for. Ends it as SUCCEEDED or FAILED, or leaves it to a later attempt."""
    hint = "verifyModelVersion tries again."
    await run_attempt(installation, operation_id, Conduct("verification", hint, _verify, _note_failure))


async def _verify(attempt: Attempt) -> None:
    row, pool = attempt.operation, attempt.installation.pool
    version = await model_version.find(pool, row["workspace_id"], row["subject_id"])
    assert version is not None
    if version["digest"] is None or version["purged_at"] is not None:
        raise OperationFailed(problem_row(ErrorCode.INVALID_STATE, "Nothing is stored of the version any more."))
    files = await model_version.all_files(pool, row["workspace_id"], version["id"])
    try:
        problems = await _Reading(attempt, files).run()
    except StoreError as failure:
        hint = "When the store answers again, verify the version once more."
        problem = problem_row(store_code(failure), str(failure), hint=hint)
        raise OperationFailed(problem) from failure
    problems = problems or _manifest_problems(version, files)
    source = await source_state(attempt.installation, version, files)
    await _finish(attempt, version, _report(files, problems[:PROBLEM_LIMIT], source))


class _Reading:
    """The stored files of a version, each of them read once however often the version has it."""

    def __init__(self, attempt: Attempt, files: Sequence[Record]) -> None:
        self._blobs = attempt.installation.blobs
        self._files = files
        self._sizes = {file["sha256"].hex(): file["size_bytes"] for file in files}
        self._progress = Progress(attempt, "VERIFYING", sum(self._sizes.values()))
        # SHA-256 that was found instead of the one that was imported; None where the bytes are gone.
        self._drifted: dict[str, str | None] = {}

    async def run(self) -> list[dict[str, object]]:
        """The problems of all files. Raises StoreError and Superseded."""
        try:
            async with asyncio.TaskGroup() as group:
                ticking = group.create_task(self._progress.keep_telling())
                await for_each(self._sizes, self._read, at_once=FILES_AT_ONCE)
                ticking.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        drifts = [(file["path"], file["sha256"].hex()) for file in self._files]
        return [
            drift_problem(ArtifactDrift(path, expected=sha256, actual=self._drifted[sha256]))
            for path, sha256 in drifts
            if sha256 in self._drifted
        ]

    async def _read(self, sha256: str) -> None:
        try:
            actual = await self._blobs.actual(sha256, self._progress.of_file())
        except ObjectNotFound:
            self._drifted[sha256] = None
        else:
            if actual.sha256 != sha256:
                self._drifted[sha256] = actual.sha256


def _manifest_problems(version: Record, files: Sequence[Record]) -> list[dict[str, object]]:
    """What is wrong with the list of files itself: the digest of the whole says which they were."""
    actual = manifest_digest([(file["path"], file["sha256"].hex()) for file in files])
    expected = version["digest"].hex()
    if actual == expected:
        return []
    message = f"The version's files have the digest {actual} together, instead of {expected}."
    return [problem_row(ErrorCode.ARTIFACT_DRIFT, message, expected=expected, actual=actual)]


def _report(
    files: Sequence[Record], problems: Sequence[dict[str, object]], source: dict[str, object]
) -> dict[str, object]:
    """As versions keep it."""
    return {
        "state": "DRIFTED" if problems else "INTACT",
        # As moments are shown: in UTC, without digits of the second that say nothing.
        "checked_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "file_count": len(files),
        "size_bytes": sum(file["size_bytes"] for file in files),
        "problems": problems,
        "source": source,
    }


async def _finish(attempt: Attempt, version: Record, report: dict[str, object]) -> None:
    row = attempt.operation
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        is_kept = await model_version.set_integrity(
            unit.connection, row["workspace_id"], version["id"], report, version["imported_at"]
        )
        if not is_kept:
            message = "The version was imported anew while it was verified."
            raise OperationFailed(problem_row(ErrorCode.INVALID_STATE, message, hint="Verify it again."))
        await operation.finish(unit.connection, row["workspace_id"], row["id"], "SUCCEEDED")
        kind = "MODEL_VERSION_VERIFIED" if report["state"] == "INTACT" else "MODEL_VERSION_DRIFTED"
        unit.record(kind, version["id"], digest=version["digest"].hex())


async def _note_failure(attempt: Attempt, unit: Transaction, failure: OperationFailed) -> None:
    unit.record("MODEL_VERSION_VERIFICATION_FAILED", attempt.operation["subject_id"], code=failure.problem["code"])
