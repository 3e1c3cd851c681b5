"""The inputs of a batch service, as they lie in storage or stand in a manifest; never all of them in memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from artifacts.batch_manifest import ManifestLine, Source, read_lines
from artifacts.object_store import ObjectNotFound
from db.batch_input import NewInput
from resolvers.batch_configuration import BatchInputKind
from resolvers.installation import Installation
from resolvers.location import Location, is_below

FAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class BatchSource:
    """`places` are those that the workspace may read."""

    kind: BatchInputKind
    location: Location
    places: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line of a manifest."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.message}"


async def inputs(installation: Installation, source: BatchSource) -> AsyncGenerator[NewInput | Fault, None]:
    """Every input in its order; of a manifest also what is wrong, up to the first hundred faults. Raises StoreError."""
    if source.kind is BatchInputKind.PREFIX:
        async with aclosing(_listed(installation, source.location)) as listed:
            async for new in listed:
                yield new
        return
    faults = 0
    async with aclosing(_named(installation, source)) as named:
        async for found in named:
            yield found
            faults += isinstance(found, Fault)
            if faults == FAULT_LIMIT:
                return


async def _listed(installation: Installation, location: Location) -> AsyncGenerator[NewInput, None]:
    store, number = installation.stores[location.store], 0
    async with aclosing(store.list(f"{location.key}/")) as listing:
        async for info in listing:
            number += 1
            yield NewInput(number, store.name, info.key, None, info.size_bytes, info.etag)


async def _named(installation: Installation, source: BatchSource) -> AsyncGenerator[NewInput | Fault, None]:
    store = installation.stores[source.location.store]
    try:
        async with aclosing(store.read(source.location.key)) as chunks, aclosing(read_lines(chunks)) as lines:
            async for line in lines:
                yield _input_of(installation, source, line)
    except ObjectNotFound:
        return


def _input_of(installation: Installation, source: BatchSource, line: ManifestLine) -> NewInput | Fault:
    if line.source is None:
        return Fault(line.number, line.fault or "")
    location = _location(installation, source.location.store, line.source)
    if location is None:
        return Fault(line.number, f"{line.source.written!r} lies in no store of this installation.")
    if not is_below(location, source.places):
        return Fault(line.number, f"This workspace may not read {line.source.written!r}.")
    return NewInput(line.number, location.store, location.key, line.source.written, None, None)


def _location(installation: Installation, manifest_store: str, source: Source) -> Location | None:
    """A bucket is that of a configured store, or, where a store is a folder, the store's name."""
    if source.bucket is None:
        return Location(manifest_store, source.key)
    for store in installation.stores.values():
        bucket, prefix = store.bucket or (store.name, "")
        if source.bucket == bucket and source.key.startswith(prefix):
            return Location(store.name, source.key.removeprefix(prefix))
    return None
