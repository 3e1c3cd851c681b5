"""What lies in a training job version's output: looked at when it may have changed, and kept beside the version."""

import asyncio
from contextlib import aclosing
from uuid import UUID

from asyncpg import Record

from artifacts.fan_out import for_each
from artifacts.object_store import StoreError
from db import training_job
from db.training_job import Contents
from resolvers.installation import Installation
from resolvers.source_store import find_store

LOOK_SECONDS = 5.0
OBJECT_LIMIT = 100_000
UNSEEN_LIMIT = 100
UNSEEN_AT_ONCE = 4


async def look(installation: Installation, workspace_id: UUID, version_id: UUID) -> Contents | None:
    """List the output and keep what is found. None where its store does not answer within five seconds.

    Counting stops at 100,000 objects, or with what was seen in that time. Not to be called inside a transaction.
    """
    output = await training_job.find_output(installation.pool, workspace_id, version_id)
    return await _look(installation, output)


async def look_if_completed(installation: Installation, workspace_id: UUID, version_id: UUID) -> None:
    output = await training_job.find_output(installation.pool, workspace_id, version_id)
    if output["status"] == "COMPLETED":
        await _look(installation, output)


async def look_again(installation: Installation, workspace_id: UUID, version_id: UUID) -> None:
    """Look where nothing was found so far, or where what was found is gone: one object is enough to know."""
    output = await training_job.find_output(installation.pool, workspace_id, version_id)
    if output["output_object_count"]:
        first = await _list(installation, output, limit=1)
        if first is None or first.object_count:
            return
    await _look(installation, output)


async def look_at_unseen(installation: Installation) -> int:
    """Look at outputs of completed versions that nobody has seen yet, some of them: how many are known now."""
    unseen = await training_job.unseen_outputs(installation.pool, list(installation.stores), limit=UNSEEN_LIMIT)
    seen = 0

    async def look_at(found: tuple[UUID, UUID]) -> None:
        nonlocal seen
        seen += await look(installation, *found) is not None

    await for_each(unseen, look_at, at_once=UNSEEN_AT_ONCE)
    return seen


async def _look(installation: Installation, output: Record) -> Contents | None:
    contents = await _list(installation, output, limit=OBJECT_LIMIT)
    if contents is None:
        await training_job.forget_empty_contents(installation.pool, output["workspace_id"], output["id"])
    else:
        await training_job.set_contents(
            installation.pool, output["workspace_id"], output["id"], contents, output["read_at"]
        )
    return contents


async def _list(installation: Installation, output: Record, *, limit: int) -> Contents | None:
    store = find_store(installation, output["output_store"])
    if store is None:
        return None
    contents = Contents()
    try:
        async with asyncio.timeout(LOOK_SECONDS), aclosing(store.list(f"{output['output_key']}/")) as listing:
            async for info in listing:
                contents.add(info.size_bytes, info.modified_at)
                if contents.object_count == limit:
                    break
    except TimeoutError:
        return contents if contents.object_count else None
    except StoreError:
        return None
    return contents
