"""Where a workspace may read: its own prefix of the default store, and what the operator granted."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from artifacts.object_store import is_key
from db import workspace
from resolvers.errors import ErrorCode, Refusal
from resolvers.installation import DEFAULT_STORE, Installation
from resolvers.transaction import Transaction

GRANT_HINT = (
    "Name a place that was granted, or ask the operator to grant this one with `./modelyard workspace grant`. "
    "The output of a training job may be left out: a place under the workspace's own prefix is assigned."
)


@dataclass(frozen=True, slots=True)
class Location:
    store: str
    key: str


def own_prefix(workspace_id: UUID) -> str:
    return f"workspaces/{workspace_id}/"


async def granted(
    installation: Installation, unit: Transaction, location: Location, *, path: Sequence[str]
) -> Location:
    """The location with its key cleaned. Raises Refusal (LOCATION_REFUSED) where the workspace was not granted it."""
    key = location.key.strip("/")
    if not is_key(key) or "\\" in key:
        message = "A key names a folder of the store, such as shared/job-7, without empty parts, . and .. parts."
        raise _refused(message, path)
    if installation.rules.is_strict and any(map(str.isspace, key)):
        message = f"The key {key!r} holds a blank, which ModelArts does not take."
        raise _refused(message, path, hint="Rename the folder without blanks.")
    allowed = [(row["store"], row["prefix"]) for row in await workspace.granted(unit.connection, unit.workspace_id)]
    is_allowed = any(location.store == store and f"{key}/".startswith(prefix) for store, prefix in allowed)
    # A grant may outlive its store's setting.
    if not is_allowed or location.store not in installation.stores:
        raise _refused(f"This workspace may not read {location.store}:{key}.", path)
    return Location(location.store, key)


def _refused(message: str, path: Sequence[str], *, hint: str = GRANT_HINT) -> Refusal:
    return Refusal(ErrorCode.LOCATION_REFUSED, message, path=path, hint=hint)


def assigned(workspace_id: UUID, training_job_id: UUID, version_name: str) -> Location:
    return Location(DEFAULT_STORE, f"{own_prefix(workspace_id)}training-jobs/{training_job_id}/{version_name}")
