"""Letting go of what nobody needs any more, as a background operation of a workspace. Every step may be repeated."""

import asyncio
from dataclasses import asdict
from uuid import UUID

import structlog

from artifacts.object_store import StoreError
from db import clean_up, operation, workspace
from db.failure import DATABASE_ERRORS
from engines.engine import EngineError
from resolvers.caller import Caller
from resolvers.errors import ErrorCode
from resolvers.idempotency import once
from resolvers.import_attempt import ACTOR, Attempt, Superseded, problem_row
from resolvers.installation import Installation
from resolvers.leftover import Discarded, discard_leftovers
from resolvers.operation import OperationKind
from resolvers.transaction import Transaction, transaction

BATCH = 100
PAUSE_SECONDS = 3600.0
logger = structlog.get_logger()


async def request(installation: Installation, caller: Caller, *, idempotency_key: str | None) -> UUID:
    """Ask for a clean-up of the caller's workspace: its id, or that of the one that is under way."""
    async with transaction(installation.pool, caller.workspace.id, caller.actor) as unit:

        async def act() -> UUID:
            return await _queue(unit)

        return await once(unit, mutation="cleanUp", key=idempotency_key, request={}, act=act)


async def _queue(unit: Transaction) -> UUID:
    # Locked: two that ask at once are given the same operation.
    await workspace.lock(unit.connection, unit.workspace_id)
    under_way = await clean_up.under_way(unit.connection, unit.workspace_id)
    if under_way is not None:
        return under_way
    row = await unit.queue(OperationKind.CLEAN_UP, unit.workspace_id)
    unit.record("CLEAN_UP_REQUESTED", unit.workspace_id)
    queued: UUID = row["id"]
    return queued


async def keep_cleaning_up(installation: Installation) -> None:
    """Every hour, until cancelled: queue a clean-up where versions are due, and let the installation's leftovers go."""
    while True:
        try:
            await queue_due(installation)
            _log(await discard_leftovers(installation))
        except (StoreError, EngineError, *DATABASE_ERRORS) as failure:
            logger.warning("what nobody needs was not looked for", reason=str(failure) or repr(failure))
        await asyncio.sleep(PAUSE_SECONDS)


async def queue_due(installation: Installation) -> list[UUID]:
    """Queue a clean-up for each workspace with versions that can no longer be restored: these workspaces."""
    due = await clean_up.due(installation.pool)
    for workspace_id in due:
        async with transaction(installation.pool, workspace_id, ACTOR) as unit:
            await _queue(unit)
    return due


async def run(installation: Installation, operation_id: UUID) -> None:
    """Clean up as an operation asks. Ends it as SUCCEEDED or FAILED, or leaves it to a later attempt."""
    row = await operation.claim(installation.pool, operation_id)
    if row is None:
        return
    attempt = Attempt(installation, row)
    try:
        if row["attempts"] > installation.rules.operation_attempts:
            await _fail(attempt, _our_fault("Every worker that tried this clean-up died of it."))
        else:
            await _clean_up(attempt)
    except Superseded:
        logger.info("clean-up was superseded", operation_id=str(operation_id))
    except Exception as failure:
        _log_failure(operation_id, failure)
        if row["attempts"] < installation.rules.operation_attempts:
            raise
        await _fail(attempt, _problem(failure))


async def _clean_up(attempt: Attempt) -> None:
    await attempt.advance("PURGING")
    versions, size_bytes = await _purge_versions(attempt)
    await attempt.advance("DISCARDING")
    _log(await discard_leftovers(attempt.installation))
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await operation.finish(unit.connection, unit.workspace_id, attempt.operation["id"], "SUCCEEDED")
        # What else was discarded is the installation's, and not this workspace's to know.
        unit.record("CLEAN_UP_SUCCEEDED", unit.workspace_id, versions=versions, sizeBytes=size_bytes)


def _log(discarded: Discarded) -> None:
    if discarded != Discarded():
        logger.info("what nobody needed was discarded", **asdict(discarded))


async def _purge_versions(attempt: Attempt) -> tuple[int, int]:
    """Let go of all versions whose time to be restored is over: how many, and the sizes of their packages."""
    workspace_id = attempt.operation["workspace_id"]
    purged = size_bytes = 0
    while due := await clean_up.purgeable(attempt.installation.pool, workspace_id, limit=BATCH):
        for version_id in due:
            async with attempt.transaction() as unit:
                await attempt.hold(unit)
                if row := await clean_up.purge(unit.connection, workspace_id, version_id):
                    unit.record("MODEL_VERSION_PURGED", version_id, model=row["model_name"], version=row["version"])
                    purged += 1
                    size_bytes += row["size_bytes"] or 0
    return purged, size_bytes


async def _fail(attempt: Attempt, problem: dict[str, object]) -> None:
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await operation.finish(unit.connection, unit.workspace_id, attempt.operation["id"], "FAILED", problem)
        unit.record("CLEAN_UP_FAILED", unit.workspace_id, code=problem["code"])


def _log_failure(operation_id: UUID, failure: Exception) -> None:
    if isinstance(failure, StoreError):
        logger.warning("clean-up broke off", operation_id=str(operation_id), reason=str(failure))
    else:
        logger.error("clean-up broke off", operation_id=str(operation_id), exc_info=failure)


def _problem(failure: Exception) -> dict[str, object]:
    if isinstance(failure, StoreError):
        hint = "What was let go is gone; the rest is tried again within an hour, or by cleanUp."
        return problem_row(ErrorCode.STORE_UNAVAILABLE, str(failure), hint=hint)
    return _our_fault("The clean-up failed for a reason of ours.")


def _our_fault(message: str) -> dict[str, object]:
    return problem_row(ErrorCode.INTERNAL_ERROR, message, hint="The server's log tells more under the operation's id.")
