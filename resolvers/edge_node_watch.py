"""Notices nodes that are no longer heard of. Any number of processes may: each silence is told once."""

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

from asyncpg import Record

from db import edge_deployment, edge_node, service
from resolvers.installation import Installation
from resolvers.transaction import Transaction, transaction

ACTOR = "edge"
ROUNDS_PER_SILENCE = 6
LONGEST_PAUSE_SECONDS = 5.0


async def keep_watching(installation: Installation) -> None:
    """Look, until cancelled, often enough that a silence is noticed soon after it is one.

    For processes that nodes report to; and not before nodes had the time to do so: while this process or its database
    was away, or stood still, none might be able to. Raises what the database does: who calls again begins anew.
    """
    lost_seconds = installation.rules.edge_node_lost_seconds
    pause = min(LONGEST_PAUSE_SECONDS, lost_seconds / ROUNDS_PER_SILENCE)
    present_since = awake_at = _now()
    while True:
        await asyncio.sleep(pause)
        stood_still = _now() - awake_at > pause + lost_seconds / 2
        awake_at = _now()
        if stood_still:
            present_since = awake_at
        # Asked from the start on, so that it shows whether the database is there.
        silent = await _silent(installation)
        if awake_at - present_since >= lost_seconds:
            await _lose(installation, silent)


def _now() -> float:
    """Seconds that go on while the host is asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def look(installation: Installation) -> None:
    """Note every node that has not reported for too long as UNCONNECTED, and have its services looked at."""
    await _lose(installation, await _silent(installation))


async def _silent(installation: Installation) -> list[UUID]:
    """The workspaces with such nodes."""
    return await edge_node.silent_workspaces(installation.pool, installation.rules.edge_node_lost_seconds)


async def _lose(installation: Installation, workspace_ids: Iterable[UUID]) -> None:
    for workspace_id in workspace_ids:
        async with transaction(installation.pool, workspace_id, ACTOR) as unit:
            for node in await edge_node.lose(unit.connection, workspace_id, installation.rules.edge_node_lost_seconds):
                await _tell(unit, node)


async def _tell(unit: Transaction, node: Record) -> None:
    last_seen_at = node["last_seen_at"].isoformat()
    unit.record("EDGE_NODE_DISAPPEARED", node["id"], name=node["name"], lastSeenAt=last_seen_at)
    for service_id in await edge_deployment.of_node(unit.connection, unit.workspace_id, node["id"]):
        await service.notify(unit.connection, service_id)
