"""What a run is to do: its inputs, written down once before the first is asked."""

from contextlib import aclosing

from asyncpg import Record

from artifacts.object_store import ObjectStore
from db import batch_input, batch_row
from db.batch_input import NewInput
from resolvers.batch_configuration import BatchConfiguration, BatchInputKind
from resolvers.batch_failure import RunFailed
from resolvers.batch_source import BatchSource, Fault, inputs
from resolvers.errors import ErrorCode
from resolvers.installation import Installation
from resolvers.location import Location, is_below, readable_places

ROWS_AT_ONCE = 1_000
FORGOTTEN_AT_ONCE = 10_000
# Of a service, with this one.
RUNS_KEPT = 10
FAULT_LENGTH = 10_000
OUTPUT_HINT = "updateBatchService names another output; or empty this one, then start the service again."


async def list_inputs(installation: Installation, run: Record, configuration: BatchConfiguration) -> None:
    """Raises RunFailed and StoreError. What an earlier listing found that did not come to its end is forgotten."""
    workspace_id, run_id = run["workspace_id"], run["id"]
    await _check_output(installation, configuration.output)
    await batch_input.forget(installation.pool, workspace_id, run_id)
    places = await readable_places(installation.pool, workspace_id)
    source = BatchSource(configuration.input_kind, configuration.input, places)
    await _check_input(installation, source)
    count = 0
    faults: list[Fault] = []
    batch: list[NewInput] = []
    async with aclosing(inputs(installation, source)) as found:
        async for each in found:
            if isinstance(each, Fault):
                faults.append(each)
                continue
            batch.append(each)
            if len(batch) == ROWS_AT_ONCE:
                await batch_input.insert(installation.pool, workspace_id, run_id, batch)
                count, batch = count + len(batch), []
    await batch_input.insert(installation.pool, workspace_id, run_id, batch)
    if faults:
        raise RunFailed(ErrorCode.MANIFEST_INVALID, " ".join(map(str, faults))[:FAULT_LENGTH])
    if not count + len(batch):
        raise RunFailed(ErrorCode.INPUT_EMPTY, empty(source))


async def forget_old(installation: Installation, run: Record) -> None:
    """Drop what nobody looks at any more: rows of abandoned runs, and the inputs of all runs but the last ten."""
    pool, service = installation.pool, (run["workspace_id"], run["service_id"])
    while await batch_row.forget_abandoned(pool, *service, limit=FORGOTTEN_AT_ONCE):
        pass
    while await batch_input.forget_up_to(pool, *service, run["number"] - RUNS_KEPT, limit=FORGOTTEN_AT_ONCE):
        pass


def empty(source: BatchSource) -> str:
    place = f"{source.location.store}:{source.location.key}"
    if source.kind is BatchInputKind.MANIFEST:
        return f"The manifest {place} is not there, or names no input."
    return f"There is no input below {place}/."


async def is_empty(store: ObjectStore, key: str) -> bool:
    """Whether nothing lies at a key or below it. Raises StoreError."""
    async with aclosing(store.list(f"{key}/")) as listing:
        async for _ in listing:
            return False
    return await store.head(key) is None


async def _check_output(installation: Installation, output: Location) -> None:
    store = installation.stores.get(output.store)
    if store is None:
        raise RunFailed(ErrorCode.STORE_UNAVAILABLE, f"The store {output.store!r} is configured here no more.")
    if not await is_empty(store, output.key):
        message = f"Something lies already in the output {output.store}:{output.key}."
        raise RunFailed(ErrorCode.OUTPUT_NOT_EMPTY, message, hint=OUTPUT_HINT)


async def _check_input(installation: Installation, source: BatchSource) -> None:
    """A grant may have been taken back since the service was deployed."""
    location = source.location
    if location.store not in installation.stores or not is_below(location, source.places):
        message = f"This workspace may not read {location.store}:{location.key}."
        raise RunFailed(ErrorCode.LOCATION_REFUSED, message, hint="Ask the operator to grant it.")
