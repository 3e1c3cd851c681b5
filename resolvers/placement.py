"""Gives instances their place in a pool: the first come, the first served, as far as there is room.

An instance that waits keeps its size free for itself, for ten minutes: smaller ones that came later go past it only
into what is left beside that. After that it takes its place when there happens to be room, so that an update that never
fits holds up nobody for long. A place is given back when the instance's row goes.
"""

from asyncpg import Record

from db import placement
from db.connection import Pool
from resolvers.capacity import Amounts, counted, figure, listed

KEPT_SECONDS = 600.0


async def place(pool: Pool, instance: Record, target: Record) -> str | None:
    """Give an instance its place. None where it has it, else the sentence why it waits. Safe in several at once.

    `instance` is a row of `db.service_instance`, `target` one of `db.service_configuration`.
    """
    workspace_id, size = instance["workspace_id"], Amounts.of(target)
    async with pool.acquire() as connection, connection.transaction():
        found = await placement.lock_pool(connection, workspace_id, instance["service_id"])
        if await placement.is_placed(connection, workspace_id, instance["id"]):
            return None
        free = Amounts.of_pool(found) - Amounts.of(await placement.taken(connection, workspace_id, found))
        kept = Amounts.of(
            await placement.kept(connection, workspace_id, found, instance["id"], within_seconds=KEPT_SECONDS)
        )
        lacking = list(size.beyond(free - kept))
        if not lacking:
            await placement.place(connection, workspace_id, instance["id"])
            return None
    return _reason(found, lacking, free, kept, size)


def _reason(pool: Record, lacking: list[str], free: Amounts, kept: Amounts, size: Amounts) -> str:
    whole = Amounts.of_pool(pool)
    has = [f"{figure(name, getattr(free, name))} of {counted(name, getattr(whole, name))} free" for name in lacking]
    takes = [counted(name, getattr(size, name)) for name in lacking]
    held = [counted(name, getattr(kept, name)) for name in lacking if name not in size.beyond(free)]
    waiting = f", and keeps {listed(held)} for instances that have waited longer" if held else ""
    return f"The pool {pool['name']} has {listed(has)}{waiting}; an instance takes {listed(takes)}."
