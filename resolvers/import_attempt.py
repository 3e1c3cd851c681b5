"""One try at an import: whether it still counts, and how it ends."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from asyncpg import Record

from artifacts.object_store import (
    ObjectChanged,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from artifacts.package_directory import ArtifactDrift
from artifacts.problem import Problem
from db import operation
from resolvers.errors import ErrorCode
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

ACTOR = "worker"
STORE_HINTS = {
    ErrorCode.STORE_UNAVAILABLE: "When the store answers again, retryImport.",
    ErrorCode.STORE_DENIED: "The operator must let this server read and write the store; then retryImport.",
    ErrorCode.STORE_FULL: "Nothing half-written was left. When the store has room again, retryImport.",
    ErrorCode.SOURCE_CHANGED: "Something wrote to the output while it was imported. "
    "Wait until it has finished, then retryImport.",
}


class Superseded(Exception):
    """Another attempt at the operation has begun: this one must not write any more."""


class ImportFailed(Exception):
    """An import that ends here: the version's status, and what goes into its problems."""

    def __init__(
        self, status: str, problems: Sequence[dict[str, object]], warnings: Sequence[dict[str, object]] = ()
    ) -> None:
        super().__init__(status)
        self.status = status
        self.problems = list(problems)
        self.warnings = list(warnings)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at the operation; its number tells it from others that may have been taken for dead."""

    installation: Installation
    operation: Record

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the worker's in the operation's workspace."""
        return transaction(self.installation.pool, self.operation["workspace_id"], ACTOR)

    async def advance(self, stage: str, progress: float | None = None) -> None:
        row = self.operation
        pool = self.installation.pool
        if not await operation.advance(pool, row["workspace_id"], row["id"], row["attempts"], stage, progress):
            raise Superseded

    async def hold(self, unit: Transaction) -> None:
        """Make sure, until the transaction ends, that this attempt is the one that counts."""
        row = self.operation
        if not await operation.hold(unit.connection, row["workspace_id"], row["id"], row["attempts"]):
            raise Superseded


def refused(
    problems: Sequence[Problem], warnings: Sequence[Problem], more: Sequence[dict[str, object]] = ()
) -> ImportFailed:
    found = [*(stored_problem(problem) for problem in problems), *more]
    return ImportFailed("IMPORT_FAILED", found, [stored_problem(warning) for warning in warnings])


def our_fault(message: str) -> ImportFailed:
    hint = "The server's log tells more under the operation's id. retryImport tries again."
    return ImportFailed("IMPORT_FAILED", [problem_row(ErrorCode.INTERNAL_ERROR, message, hint=hint)])


def stored_problem(problem: Problem) -> dict[str, object]:
    """A problem as rows keep it."""
    return asdict(problem)


def problem_row(code: ErrorCode, message: str, **details: str | None) -> dict[str, object]:
    """A problem that no reading of the package found, in the same form."""
    return {"code": code, "message": message, **details}


def store_problem(failure: StoreError) -> dict[str, object]:
    """What became of a store that failed."""
    codes: dict[type[StoreError], ErrorCode] = {
        StoreUnavailable: ErrorCode.STORE_UNAVAILABLE,
        StoreDenied: ErrorCode.STORE_DENIED,
        StoreFull: ErrorCode.STORE_FULL,
        ObjectChanged: ErrorCode.SOURCE_CHANGED,
        ObjectNotFound: ErrorCode.SOURCE_CHANGED,
    }
    code = codes.get(type(failure), ErrorCode.STORE_UNAVAILABLE)
    return problem_row(code, str(failure), hint=STORE_HINTS[code])


def drift_problem(drift: ArtifactDrift) -> dict[str, object]:
    """A stored file that is not the imported one."""
    return problem_row(
        ErrorCode.ARTIFACT_DRIFT,
        str(drift),
        file=drift.file,
        expected=drift.expected,
        actual=drift.actual,
        hint="Somebody or something changed the store. Restore the file from a backup, or import the model anew.",
    )
