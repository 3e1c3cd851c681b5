"""Breaking off background operations that nobody needs any more."""

from collections.abc import Iterator
from uuid import UUID

from asyncpg import Record

from db import model_deletion, operation
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, not_found, raise_all
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.operation import QUEUED_KINDS, OperationKind
from resolvers.operation_attempt import problem_row
from resolvers.transaction import Transaction, transaction

UNDER_WAY = ("QUEUED", "RUNNING")


async def cancel(
    installation: Installation, caller: Caller, operation_id: UUID, *, idempotency_key: str | None
) -> UUID:
    """End an operation as CANCELLED, a version's import with it: its id. Raises Refusals.

    Whoever is at it notices when it next says how far it is, and writes nothing any more.
    """
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _cancel(unit, operation_id)

        request = {"operationId": str(operation_id)}
        return await once(unit, mutation="cancelBackgroundOperation", key=idempotency_key, request=request, act=act)


async def _cancel(unit: Transaction, operation_id: UUID) -> UUID:
    row = await operation.lock(unit.connection, unit.workspace_id, operation_id)
    if row is None:
        raise not_found("background operation with this id", path=["operationId"])
    raise_all(list(_violations(row)))
    await operation.finish(unit.connection, unit.workspace_id, operation_id, "CANCELLED")
    if row["kind"] == OperationKind.IMPORT_MODEL:
        await _break_off_import(unit, row["subject_id"])
    unit.record("BACKGROUND_OPERATION_CANCELLED", row["subject_id"], operation=row["kind"])
    return operation_id


def _violations(row: Record) -> Iterator[Refusal]:
    if row["kind"] not in QUEUED_KINDS:
        yield Refusal(
            ErrorCode.INVALID_STATE,
            "What is done with a service is not broken off; something else is asked of the service.",
            path=["operationId"],
            hint="stopService, rollBackService or deleteService end what is under way.",
        )
    elif row["state"] not in UNDER_WAY:
        message = f"The operation has ended: it is {row['state']}."
        yield Refusal(ErrorCode.INVALID_STATE, message, path=["operationId"])


async def _break_off_import(unit: Transaction, version_id: UUID) -> None:
    problem = problem_row(
        ErrorCode.IMPORT_CANCELLED, f"{unit.actor} cancelled the import.", hint="retryImport tries again."
    )
    await model_deletion.lock(unit.connection, unit.workspace_id, [version_id])
    status = await model_deletion.break_off(unit.connection, unit.workspace_id, version_id, [problem])
    if status is not None:
        unit.record(f"MODEL_VERSION_{status}", version_id, codes=[problem["code"]])
