"""Stops services whose time has come, each once, however many workers there are and however long all were away."""

import asyncio
from dataclasses import replace
from uuid import UUID

from db import auto_stop
from db.connection import Pool
from resolvers.installation import Installation
from resolvers.service import STOP, want
from resolvers.transaction import transaction

ACTOR = "auto-stop"
AUTO_STOP = replace(STOP, event="SERVICE_AUTO_STOPPED")
# A service that somebody else had locked is looked at again after the shortest pause.
SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0


async def keep_stopping(installation: Installation) -> None:
    """Stop services when they are due, until cancelled."""
    while True:
        await stop_due(installation.pool)
        seconds = await auto_stop.seconds_to_next(installation.pool)
        pause = LONGEST_PAUSE_SECONDS if seconds is None else min(LONGEST_PAUSE_SECONDS, seconds)
        await asyncio.sleep(max(SHORTEST_PAUSE_SECONDS, pause))


async def stop_due(pool: Pool) -> list[UUID]:
    """Ask all services to stop whose time has come: those of which nobody else did."""
    stopped = []
    for found in await auto_stop.due(pool):
        async with transaction(pool, found["workspace_id"], ACTOR) as unit:
            row = await auto_stop.hold(unit.connection, unit.workspace_id, found["id"])
            if row is not None:
                # The wish takes the time out of the row.
                await want(unit, AUTO_STOP, row)
                stopped.append(row["id"])
    return stopped
