"""How much of a version's bytes an operation has been through, told to its row now and then."""

import asyncio
import time
from collections.abc import Callable

from resolvers.operation_attempt import Attempt

TELL_SECONDS = 0.5


class Progress:
    """Counts bytes of a stage, of several files at once."""

    def __init__(self, attempt: Attempt, stage: str, total_bytes: int) -> None:
        self._attempt = attempt
        self._stage = stage
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._told_at = 0.0

    def add(self, size_bytes: int) -> None:
        self._done_bytes += size_bytes

    def of_file(self) -> Callable[[int], None]:
        """Takes how many bytes of one file have been read so far."""
        counted_bytes = 0

        def report(read_bytes: int) -> None:
            nonlocal counted_bytes
            self.add(read_bytes - counted_bytes)
            counted_bytes = read_bytes

        return report

    async def tell(self) -> None:
        """Write it down, unless that was done a moment ago. Raises Superseded."""
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            self._told_at = time.monotonic()
            await self._attempt.advance(self._stage, min(1.0, self._done_bytes / max(1, self._total_bytes)))

    async def keep_telling(self) -> None:
        """Tell it every moment until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(TELL_SECONDS)
