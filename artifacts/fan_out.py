"""Doing the same with many things, several at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], act: Callable[[Item], Awaitable[None]], *, at_once: int) -> None:
    """Act on every item, on so many at once. The first failure ends the others and is raised."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await act(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    except ExceptionGroup as failures:
        # Who asked knows what to do about a store's failure, not about a group.
        raise failures.exceptions[0] from failures
