"""Where a batch service reads and writes: what the workspace may, and what no other service does."""

from collections.abc import Sequence

from db import batch_configuration
from resolvers.batch_configuration import BatchInputKind
from resolvers.batch_request import BatchInput
from resolvers.errors import ErrorCode, Refusal
from resolvers.installation import Installation
from resolvers.location import Location, is_below, own_place, own_prefix, readable
from resolvers.transaction import Transaction

OUTPUT_HINT = "Give each batch service a folder of its own to write to."
MANIFEST_SUFFIX = ".manifest"


async def input_place(installation: Installation, unit: Transaction, given: BatchInput) -> Location:
    """Raises Refusal."""
    path = ["input"]
    location = await readable(installation, unit, given.location, path=path)
    if given.kind is BatchInputKind.MANIFEST and not location.key.endswith(MANIFEST_SUFFIX):
        message = f"A manifest's name ends with {MANIFEST_SUFFIX}."
        raise Refusal(ErrorCode.MANIFEST_INVALID, message, path=[*path, "key"])
    return location


async def output_place(installation: Installation, unit: Transaction, given: Location) -> Location:
    """Raises Refusal. What was granted is for reading."""
    path = ["output"]
    location = await readable(installation, unit, given, path=path)
    hint = f"Name a folder below {own_prefix(unit.workspace_id)} of the default store."
    if not is_below(location, [own_place(unit.workspace_id)]):
        raise Refusal(ErrorCode.LOCATION_READ_ONLY, "Granted places are for reading only.", path=path, hint=hint)
    if f"{location.key}/" == own_prefix(unit.workspace_id):
        message = "All that the workspace has lies there."
        raise Refusal(ErrorCode.OUTPUT_NOT_EMPTY, message, path=path, hint=hint)
    return location


async def check_output_is_free(
    unit: Transaction, output: Location, *, read_from: Location | None, service_name: str
) -> None:
    """Hold the workspace's outputs till the end of the transaction, and raise Refusal where this one is taken."""
    path = ["output"]
    await batch_configuration.lock_outputs(unit.connection, unit.workspace_id)
    if read_from is not None and _is_within(output, read_from):
        message = f"The output lies in the input {read_from.store}:{read_from.key}."
        raise _in_use(message, path=path)
    other = await batch_configuration.writing_near(
        unit.connection, unit.workspace_id, output.store, output.key, but_for=service_name
    )
    if other is not None:
        raise _in_use(f"The batch service {other!r} writes there, in it or around it.", path=path)


def _is_within(inner: Location, outer: Location) -> bool:
    return inner.store == outer.store and f"{inner.key}/".startswith(f"{outer.key}/")


def _in_use(message: str, *, path: Sequence[str]) -> Refusal:
    return Refusal(ErrorCode.OUTPUT_IN_USE, message, path=path, hint=OUTPUT_HINT)
