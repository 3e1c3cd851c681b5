"""Bytes of inputs: read whole, within the limit, and only so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from artifacts.object_store import ObjectStore, StoreError, StoreUnavailable
from resolvers.batch_failure import InputFailed
from resolvers.errors import ErrorCode

STORE_ATTEMPTS = 4
STORE_RETRY_SECONDS = 1.0
Result = TypeVar("Result")


class ByteBudget:
    """Bounds what is held in memory at once, by all services together."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Waits for its turn. What is larger than everything is let in alone."""
        async with self.room(size_bytes) as room:
            await room.take()
            yield

    @asynccontextmanager
    async def room(self, size_bytes: int) -> AsyncIterator[Room]:
        """Room that may be taken, and is given back at the end."""
        room = Room(self, min(size_bytes, self._limit_bytes))
        try:
            yield room
        finally:
            await room.give_back()

    async def take(self, size_bytes: int) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._held_bytes + size_bytes <= self._limit_bytes)
            self._held_bytes += size_bytes

    async def give_back(self, size_bytes: int) -> None:
        self._held_bytes -= size_bytes
        await asyncio.shield(self._tell())

    async def _tell(self) -> None:
        async with self._freed:
            self._freed.notify_all()


class Room:
    """So many bytes of a budget for one thing, held from when they are taken until they are given back."""

    def __init__(self, budget: ByteBudget, size_bytes: int) -> None:
        self._budget = budget
        self._size_bytes = size_bytes
        self._is_held = False

    async def take(self) -> None:
        """Waits for its turn; nothing where it is held already."""
        if not self._is_held:
            await self._budget.take(self._size_bytes)
            self._is_held = True

    async def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            await self._budget.give_back(self._size_bytes)


async def size_of(store: ObjectStore, key: str, known_bytes: int | None, *, limit_bytes: int) -> int:
    """Raises InputFailed for an object that is gone or too large, and StoreUnavailable."""
    size_bytes = known_bytes
    if size_bytes is None:
        info = await _readable(store, lambda: store.head(key))
        if info is None:
            raise InputFailed(ErrorCode.INPUT_UNREADABLE, f"There is no object {key!r}.")
        size_bytes = info.size_bytes
    if size_bytes > limit_bytes:
        message = f"The input has {size_bytes:,} bytes; a request has at most {limit_bytes:,}."
        raise InputFailed(ErrorCode.FILE_TOO_LARGE, message)
    return size_bytes


async def read_whole(store: ObjectStore, key: str, etag: str | None, *, limit_bytes: int) -> bytes:
    """Raises InputFailed where it is gone, changed or has grown, and StoreUnavailable."""

    async def read() -> bytes:
        data = bytearray()
        async with aclosing(store.read(key, if_match=etag)) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > limit_bytes:
                    raise InputFailed(ErrorCode.FILE_TOO_LARGE, f"The input has more than {limit_bytes:,} bytes.")
        return bytes(data)

    return await _readable(store, read)


async def _readable(store: ObjectStore, act: Callable[[], Awaitable[Result]]) -> Result:
    """What a store gives. Raises InputFailed for what is the input's own, and StoreUnavailable for what is not."""
    try:
        return await _patiently(act)
    except StoreUnavailable as failure:
        # Raises StoreUnavailable: then it is not this input alone.
        await store.check()
        raise InputFailed(ErrorCode.STORE_UNAVAILABLE, str(failure)) from failure
    except StoreError as failure:
        raise InputFailed(ErrorCode.INPUT_UNREADABLE, str(failure)) from failure


async def _patiently(act: Callable[[], Awaitable[Result]]) -> Result:
    """Tried a few times where the store does not answer. Raises StoreError."""
    for attempt in range(1, STORE_ATTEMPTS):
        try:
            return await act()
        except StoreUnavailable:
            await asyncio.sleep(STORE_RETRY_SECONDS * 2 ** (attempt - 1))
    return await act()
