"""A look at where a batch service is to read and write, before anything is decided and outside of any transaction."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

from artifacts.object_store import StoreError
from resolvers.batch_listing import empty, is_empty
from resolvers.batch_request import BatchInput, BatchRequest, RuleMapping
from resolvers.batch_source import BatchSource, Fault, inputs
from resolvers.caller import Caller
from resolvers.errors import ErrorCode, Refusal, invalid
from resolvers.installation import Installation
from resolvers.location import Location, is_below, own_place, readable_places

LOOK_SECONDS = 5.0
LOOKED_AT = 10_000
TOLD = 100
CSV_SUFFIX = ".csv"


async def look(installation: Installation, caller: Caller, request: BatchRequest) -> list[Refusal]:
    """What stands in storage against a service. A place that is not the workspace's is not looked at, and what takes
    longer than five seconds is left to the run, which looks again."""
    workspace_id = caller.workspace.id
    refusals: list[Refusal] = []
    if request.input is not None:
        places = await readable_places(installation.pool, workspace_id)
        is_csv = isinstance(request.mapping, RuleMapping)
        refusals += await _look_at_input(installation, request.input, places, is_csv=is_csv)
    if request.output is not None:
        refusals += await _look_at_output(installation, cleaned(request.output), own_place(workspace_id))
    return refusals


def cleaned(location: Location) -> Location:
    return Location(location.store, location.key.strip("/"))


async def _look_at_input(
    installation: Installation, given: BatchInput, places: list[tuple[str, str]], *, is_csv: bool
) -> list[Refusal]:
    location = cleaned(given.location)
    if location.store not in installation.stores or not is_below(location, places):
        return []
    source = BatchSource(given.kind, location, places)
    found = _Found()
    try:
        async with asyncio.timeout(LOOK_SECONDS), aclosing(inputs(installation, source)) as each:
            async for item in each:
                found.add(item if isinstance(item, Fault) else item.key, is_csv=is_csv)
                if found.count == LOOKED_AT:
                    break
    except (TimeoutError, StoreError):
        return list(found.refusals())
    if not found.count:
        return [Refusal(ErrorCode.INPUT_EMPTY, empty(source), path=["input"])]
    return list(found.refusals())


class _Found:
    """What a look has found: how many inputs, and what is wrong with some."""

    def __init__(self) -> None:
        self.count = 0
        self._faults: list[Fault] = []
        self._others: list[str] = []

    def add(self, item: Fault | str, *, is_csv: bool) -> None:
        self.count += 1
        if isinstance(item, Fault):
            self._faults.append(item)
        elif is_csv and not item.lower().endswith(CSV_SUFFIX):
            self._others.append(item)

    def refusals(self) -> Iterator[Refusal]:
        path = ["input", "key"]
        for fault in self._faults[:TOLD]:
            yield Refusal(ErrorCode.MANIFEST_INVALID, str(fault), path=path)
        if self._others:
            first, others = self._others[0], len(self._others) - 1
            more = f", and {others:,} more," if others else ""
            message = f"A CSV mapping takes files whose names end with .csv; {first!r}{more} does not."
            yield invalid(message, path=path)


async def _look_at_output(installation: Installation, location: Location, own: tuple[str, str]) -> list[Refusal]:
    if location.store not in installation.stores or not is_below(location, [own]):
        return []
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            if await is_empty(installation.stores[location.store], location.key):
                return []
    except (TimeoutError, StoreError):
        return []
    message = f"Something lies already in {location.store}:{location.key}."
    hint = "Name a folder that does not exist yet, or empty this one."
    return [Refusal(ErrorCode.OUTPUT_NOT_EMPTY, message, path=["output", "key"], hint=hint)]
