"""One try at a background operation: whether it still counts, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from uuid import UUID

import structlog
from asyncpg import Record

from artifacts.object_store import (
    ObjectChanged,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
)
from artifacts.package_directory import ArtifactDrift
from artifacts.problem import Problem
from db import operation
from db.failure import DATABASE_ERRORS
from resolvers.errors import ErrorCode
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

ACTOR = "worker"
TELL_SECONDS = 2.0
STORE_HINTS = {
    ErrorCode.STORE_UNAVAILABLE: "When the store answers again, retryImport.",
    ErrorCode.STORE_DENIED: "The operator must let this server read and write the store; then retryImport.",
    ErrorCode.STORE_FULL: "Nothing half-written was left. When the store has room again, retryImport.",
    ErrorCode.SOURCE_CHANGED: "Something wrote to the output while it was imported. "
    "Wait until it has finished, then retryImport.",
}
logger = structlog.get_logger()


class Superseded(Exception):
    """Another attempt at the operation has begun: this one must not write any more."""


class OperationFailed(Exception):
    """An operation that ends here, with this error; `may_pass` is what another attempt may not meet again."""

    def __init__(self, problem: dict[str, object], *, may_pass: bool = False) -> None:
        super().__init__(problem["message"])
        self.problem = problem
        self.may_pass = may_pass


class ImportFailed(OperationFailed):
    """An import that ends here: the version's status, and what goes into its problems."""

    def __init__(
        self, status: str, problems: Sequence[dict[str, object]], warnings: Sequence[dict[str, object]] = ()
    ) -> None:
        super().__init__(problems[0])
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

    async def keep_advancing(self, stage: str) -> None:
        """Say every other second, until cancelled, that it is at a stage. Raises Superseded."""
        while True:
            try:
                await self.advance(stage)
            except DATABASE_ERRORS as failure:
                # What takes half an hour outlives a database that is gone for a minute.
                logger.warning("how far an operation is was not told", reason=str(failure) or repr(failure))
            await asyncio.sleep(TELL_SECONDS)

    async def hold(self, unit: Transaction) -> None:
        """Make sure, until the transaction ends, that this attempt is the one that counts."""
        row = self.operation
        if not await operation.hold(unit.connection, row["workspace_id"], row["id"], row["attempts"]):
            raise Superseded


@dataclass(frozen=True, slots=True)
class Conduct:
    """How operations of a kind are done: `act` raises OperationFailed, `note_failure` writes down what came of that.

    `name` and `hint` are for sentences: what it is, and what the caller does next.
    """

    name: str
    hint: str
    act: Callable[[Attempt], Awaitable[None]]
    note_failure: Callable[[Attempt, Transaction, OperationFailed], Awaitable[None]]


async def run_attempt(installation: Installation, operation_id: UUID, conduct: Conduct) -> None:
    """Do what an operation asks for. Ends it as FAILED, or raises what a later attempt may not meet again.

    An operation that takes its worker down with it ends too, after the installation's `operation_attempts`.
    """
    row = await operation.claim(installation.pool, operation_id)
    if row is None:
        return
    attempt, limit = Attempt(installation, row), installation.rules.operation_attempts
    try:
        if row["attempts"] > limit:
            await _fail(
                attempt, conduct, _our_fault(conduct, f"Every worker that tried this {conduct.name} died of it.")
            )
        else:
            await _act(attempt, conduct, is_last=row["attempts"] == limit)
    except Superseded:
        logger.info("an attempt was superseded", kind=row["kind"], operation_id=str(operation_id))


async def _act(attempt: Attempt, conduct: Conduct, *, is_last: bool) -> None:
    told = {"kind": attempt.operation["kind"], "operation_id": str(attempt.operation["id"])}
    try:
        await conduct.act(attempt)
    except Superseded:
        raise
    except OperationFailed as failure:
        logger.info("an attempt failed", code=failure.problem["code"], **told)
        if failure.may_pass and not is_last:
            raise
        await _fail(attempt, conduct, failure)
    except Exception:
        logger.exception("an attempt broke off", **told)
        if not is_last:
            raise
        await _fail(attempt, conduct, _our_fault(conduct, f"The {conduct.name} failed for a reason of ours."))


async def _fail(attempt: Attempt, conduct: Conduct, failure: OperationFailed) -> None:
    row = attempt.operation
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await conduct.note_failure(attempt, unit, failure)
        await operation.finish(unit.connection, row["workspace_id"], row["id"], "FAILED", failure.problem)


def _our_fault(conduct: Conduct, message: str) -> OperationFailed:
    hint = f"The server's log tells more under the operation's id. {conduct.hint}"
    return OperationFailed(problem_row(ErrorCode.INTERNAL_ERROR, message, hint=hint))


def refused(
    problems: Sequence[Problem], warnings: Sequence[Problem], more: Sequence[dict[str, object]] = ()
) -> ImportFailed:
    found = [*(stored_problem(problem) for problem in problems), *more]
    return ImportFailed("IMPORT_FAILED", found, [stored_problem(warning) for warning in warnings])


def stored_problem(problem: Problem) -> dict[str, object]:
    """A problem as rows keep it."""
    return asdict(problem)


def problem_row(code: ErrorCode, message: str, **details: str | None) -> dict[str, object]:
    """A problem that no reading of the package found, in the same form."""
    return {"code": code, "message": message, **details}


def store_code(failure: StoreError) -> ErrorCode:
    """What a store's failure is called where nothing is known of what was being done."""
    codes: dict[type[StoreError], ErrorCode] = {
        StoreDenied: ErrorCode.STORE_DENIED,
        StoreFull: ErrorCode.STORE_FULL,
    }
    return codes.get(type(failure), ErrorCode.STORE_UNAVAILABLE)


def store_problem(failure: StoreError) -> dict[str, object]:
    """What became of a store that failed during an import."""
    is_change = isinstance(failure, ObjectChanged | ObjectNotFound)
    code = ErrorCode.SOURCE_CHANGED if is_change else store_code(failure)
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
