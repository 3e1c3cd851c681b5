"""Notices nodes that are no longer heard of. Any number of processes may: each silence is told once."""

import asyncio
import time

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
        await look(installation, judges=awake_at - present_since >= lost_seconds)


def _now() -> float:
    """Seconds that go on while the host is asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def look(installation: Installation, *, judges: bool = True) -> None:
    """Note every node that has not reported for too long as UNCONNECTED, and have its services looked at.

    Who does not judge only sees whether the database is there.
    """
    lost_seconds = installation.rules.edge_node_lost_seconds
    silent = await edge_node.silent_workspaces(installation.pool, lost_seconds)
    for workspace_id in silent if judges else ():
        async with transaction(installation.pool, workspace_id, ACTOR) as unit:
            for node in await edge_node.lose(unit.connection, workspace_id, lost_seconds):
                await _tell(unit, node)


async def _tell(unit: Transaction, node: Record) -> None:
    last_seen_at = node["last_seen_at"].isoformat()
    unit.record("EDGE_NODE_DISAPPEARED", node["id"], name=node["name"], lastSeenAt=last_seen_at)
    for service_id in await edge_deployment.of_node(unit.connection, unit.workspace_id, node["id"]):
        await service.notify(unit.connection, service_id)
