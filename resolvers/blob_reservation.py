"""Saying of blobs that they are being brought in, before it is looked whether they are stored."""

import asyncio

from artifacts.blob import Blob
from db import stored_blob
from db.connection import Pool


class BlobReservations:
    """Of many files at once: those that are asked for while a statement runs go together into the next one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[bytes, int] = {}
        self._turn = asyncio.Lock()

    async def reserve(self, blob: Blob) -> None:
        """Return once it is committed that the blob is being brought in."""
        sha256 = bytes.fromhex(blob.sha256)
        self._waiting[sha256] = blob.size_bytes
        async with self._turn:
            if sha256 in self._waiting:
                await self._touch_waiting()

    async def _touch_waiting(self) -> None:
        batch, self._waiting = self._waiting, {}
        try:
            await stored_blob.touch(self._pool, batch)
        except BaseException:
            # Those that wait for this must not take it for done.
            self._waiting = batch | self._waiting
            raise
