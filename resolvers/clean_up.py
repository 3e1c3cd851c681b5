"""Letting go of what nobody needs any more, as a background operation of a workspace. Every step may be repeated."""

import asyncio
from uuid import UUID, uuid4

import structlog

from artifacts.object_store import StoreError
from db import clean_up, lease, operation, workspace
from resolvers.caller import Caller
from resolvers.expired_upload import discard_expired
from resolvers.idempotency import once
from resolvers.installation import Installation
from resolvers.leftover import delete_unused_blobs, discard_copies, discard_of_all, discard_of_host, do_each
from resolvers.operation import OperationKind
from resolvers.operation_attempt import (
    ACTOR,
    Attempt,
    Conduct,
    OperationFailed,
    problem_row,
    run_attempt,
    store_code,
)
from resolvers.service_log import discard_old_lines
from resolvers.training_output import look_at_unseen
from resolvers.transaction import Transaction, transaction

BATCH = 100
BLOB_BATCHES = 20
PAUSE_SECONDS = 3600.0
HOST = "clean-up of a host"
HOST_PAUSE_SECONDS = 60.0
HINT = "What was let go is gone; the rest is tried again within an hour, or by cleanUp."
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
    """Every hour, until cancelled: queue a clean-up where versions are due, and look after all that is shared."""
    while True:
        await do_each(installation, (_queue_due, look_at_unseen, discard_copies, discard_of_host, discard_of_all))
        await asyncio.sleep(PAUSE_SECONDS)


async def _queue_due(installation: Installation) -> int:
    return len(await queue_due(installation))


async def queue_due(installation: Installation) -> list[UUID]:
    """Queue a clean-up for each workspace with versions that can no longer be restored: these workspaces."""
    due = await clean_up.due(installation.pool)
    for workspace_id in due:
        async with transaction(installation.pool, workspace_id, ACTOR) as unit:
            await _queue(unit)
    return due


async def run(installation: Installation, operation_id: UUID) -> None:
    """Clean up as an operation asks. Ends it as SUCCEEDED or FAILED, or leaves it to a later attempt."""
    await run_attempt(installation, operation_id, Conduct("clean-up", HINT, _clean_up, _note_failure))


async def _clean_up(attempt: Attempt) -> None:
    await attempt.advance("PURGING")
    versions, size_bytes = await _purge_versions(attempt)
    await attempt.advance("DISCARDING")
    await discard_expired(attempt.installation, attempt.operation["workspace_id"])
    await discard_old_lines(attempt.installation, attempt.operation["workspace_id"])
    await _delete_unused_blobs(attempt)
    await _discard_of_host(attempt.installation)
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await operation.finish(unit.connection, unit.workspace_id, attempt.operation["id"], "SUCCEEDED")
        # What else was discarded is the installation's, and not this workspace's to know.
        unit.record("CLEAN_UP_SUCCEEDED", unit.workspace_id, versions=versions, sizeBytes=size_bytes)


async def _delete_unused_blobs(attempt: Attempt) -> None:
    """So many at the most: they may be those of any workspace, and the next clean-up waits meanwhile."""
    try:
        await delete_unused_blobs(attempt.installation, batches=BLOB_BATCHES)
    except StoreError as failure:
        logger.warning("unused files stay", operation_id=str(attempt.operation["id"]), reason=str(failure))
        # The failure's own words may name what belongs to others.
        message = "The store failed while files that no version holds were deleted."
        raise OperationFailed(problem_row(store_code(failure), message, hint=HINT), may_pass=True) from failure


async def _discard_of_host(installation: Installation) -> None:
    """It is every workspace's, and hourly anyway: whoever asks again and again does not have it done each time."""
    if await lease.take(installation.pool, HOST, uuid4(), HOST_PAUSE_SECONDS):
        await discard_of_host(installation)


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


async def _note_failure(attempt: Attempt, unit: Transaction, failure: OperationFailed) -> None:
    unit.record("CLEAN_UP_FAILED", attempt.operation["subject_id"], code=failure.problem["code"])
