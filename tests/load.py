"""Predictions sent all along, and what became of each."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.api import Api
from tests.deadline import eventually


@dataclass(slots=True)
class Load:
    """What was answered, by the answer's text, and every failure."""

    answered: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    is_over: bool = False

    async def passes(self, count: int = 20) -> None:
        """Wait until so many more have been answered."""
        wanted = self.answered.total() + count
        await eventually(lambda: self.answered.total() >= wanted or bool(self.failures))


@asynccontextmanager
async def load_on(api: Api, service: Mapping[str, Any], *, at_once: int = 4) -> AsyncIterator[Load]:
    """Ask a service without a pause until the block ends."""
    load = Load()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_ask_all_along(api, service["predictionUrl"], load))
        try:
            yield load
        finally:
            load.is_over = True


async def _ask_all_along(api: Api, url: str, load: Load) -> None:
    while not load.is_over:
        try:
            response = await api.http.post(url, json={})
        except httpx.HTTPError as error:
            load.failures.append(repr(error))
            continue
        if response.status_code == 200:
            load.answered[response.text] += 1
        else:
            load.failures.append(f"{response.status_code} {response.text}")
