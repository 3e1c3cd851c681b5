"""How much is worked on at once: a bounded number, a bounded queue behind it, and nothing more."""

from __future__ import annotations

import asyncio
from types import TracebackType

WAIT_SECONDS = 10.0


class Overloaded(Exception):
    """Others are at work, and the queue behind them is full or did not move in time."""


class Admission:
    """`async with` it to work: at most `running` do at once, first come, first served. Raises Overloaded.

    `waiting` more may wait, each at most `wait_seconds`.
    """

    def __init__(self, *, running: int, waiting: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._places = asyncio.Semaphore(running)
        self._queue_length = 0
        self._longest_queue = waiting
        self._wait_seconds = wait_seconds

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._places.locked()

    async def __aenter__(self) -> None:
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._places.release()

    async def _wait(self) -> None:
        if self._queue_length >= self._longest_queue:
            raise Overloaded("As many as may are at work, and as many as may wait.")
        self._queue_length += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise Overloaded(f"Nobody at work was done within {self._wait_seconds:g} s.") from error
        finally:
            self._queue_length -= 1
