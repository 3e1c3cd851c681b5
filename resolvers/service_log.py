"""What instances print, moved from the engine into the service's log, and let go of in time."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from asyncpg import Record

from artifacts.json_node import printable
from db import service_instance, service_log
from resolvers.installation import Installation

KEPT_LINES = 10_000
READ_AT_ONCE = 16
# Of each instance each time: one that floods its log holds up nobody else's.
LINES_AT_ONCE = 1_000
LINE_LENGTH = 10_000
DELETED_AT_ONCE = 10_000


class ServiceLog:
    """Reads on from where the log of each instance was read to; keeps a service's last 10,000 lines."""

    def __init__(self, installation: Installation) -> None:
        self._pool = installation.pool
        self._engine = installation.engine
        self._instances: dict[str, tuple[Record, int]] = {}
        self._reading = asyncio.Lock()

    async def forget(self, instance_id: str) -> None:
        """The instance's row is gone: whoever reads its log just now is done with it first."""
        async with self._reading:
            self._instances.pop(instance_id, None)

    async def collect(self, instance_ids: list[str]) -> None:
        """Read what each printed since the last time."""
        for first in range(0, len(instance_ids), READ_AT_ONCE):
            # Two at once would both read on from the same place.
            async with self._reading:
                await self._collect(instance_ids[first : first + READ_AT_ONCE])

    async def _collect(self, instance_ids: Sequence[str]) -> None:
        offsets = {each: offset for each in instance_ids if (offset := await self._offset(each)) is not None}
        # One thread for all of them: mostly there is nothing to read.
        read = await asyncio.to_thread(self._read, offsets)
        for instance_id, (lines, read_to) in read.items():
            row, _ = self._instances[instance_id]
            await service_log.append(self._pool, row["workspace_id"], row["id"], lines, offset_bytes=read_to)
            self._instances[instance_id] = (row, read_to)
            await service_log.trim(self._pool, row["workspace_id"], row["service_id"], KEPT_LINES)

    async def _offset(self, instance_id: str) -> int | None:
        """Where to read on; None for an instance that has no row any more."""
        if instance_id not in self._instances:
            row = await service_instance.find(self._pool, UUID(instance_id))
            if row is None:
                return None
            self._instances[instance_id] = (row, row["log_offset_bytes"])
        return self._instances[instance_id][1]

    def _read(self, offsets: Mapping[str, int]) -> dict[str, tuple[list[str], int]]:
        found = {}
        for instance_id, offset_bytes in offsets.items():
            lines, read_to = self._engine.read_log(instance_id, offset_bytes=offset_bytes)
            if lines:
                found[instance_id] = (_kept(lines), read_to)
        return found


def _kept(lines: list[str]) -> list[str]:
    """The last of them, behind a line that tells of the others."""
    left_out = max(0, len(lines) - LINES_AT_ONCE)
    told = [f"… {left_out} lines were left out: more were printed at once than are kept."] if left_out else []
    return [*told, *(printable(line[:LINE_LENGTH]) for line in lines[left_out:])]


async def discard_old_lines(installation: Installation, workspace_id: UUID | None = None) -> int:
    """Let go of lines older than the installation keeps, of all workspaces or of one: how many."""
    days, count = installation.rules.log_days, 0
    while True:
        if workspace_id is None:
            deleted = await service_log.delete_old_anywhere(installation.pool, days=days, limit=DELETED_AT_ONCE)
        else:
            deleted = await service_log.delete_old(installation.pool, workspace_id, days=days, limit=DELETED_AT_ONCE)
        count += deleted
        if deleted < DELETED_AT_ONCE:
            return count
