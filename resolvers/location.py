"""Where a workspace may read: its own prefix of the default store, and what the operator granted."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from artifacts.object_store import is_key
from db import workspace
from db.connection import Queryable
from resolvers.errors import ErrorCode, Refusal
from resolvers.installation import DEFAULT_STORE, Installation
from resolvers.transaction import Transaction

GRANT_HINT = (
    "Name a place that was granted, or ask the operator to grant this one with `./modelyard workspace grant`. "
    "The output of a training job may be left out: a place under the workspace's own prefix is assigned."
)
KEY_HINT = "Give the whole key, from the top of the store, with one slash between two names; `store` names the store."
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")


@dataclass(frozen=True, slots=True)
class Location:
    store: str
    key: str


def own_prefix(workspace_id: UUID) -> str:
    return f"workspaces/{workspace_id}/"


def own_place(workspace_id: UUID) -> tuple[str, str]:
    """The store and the prefix that are a workspace's own."""
    return DEFAULT_STORE, own_prefix(workspace_id)


async def readable_places(connection: Queryable, workspace_id: UUID) -> list[tuple[str, str]]:
    """Stores and prefixes below which a workspace may read."""
    grants = await workspace.granted(connection, workspace_id)
    return [own_place(workspace_id), *((row["store"], row["prefix"]) for row in grants)]


def is_below(location: Location, places: Iterable[tuple[str, str]]) -> bool:
    return any(location.store == store and f"{location.key}/".startswith(prefix) for store, prefix in places)


async def readable(
    installation: Installation, unit: Transaction, location: Location, *, path: Sequence[str]
) -> Location:
    """As `granted`, or below the workspace's own prefix."""
    return await _allowed(installation, unit, location, [own_place(unit.workspace_id)], path=path)


async def granted(
    installation: Installation, unit: Transaction, location: Location, *, path: Sequence[str]
) -> Location:
    """The location with its key cleaned. Raises Refusal (LOCATION_REFUSED) where the workspace was not granted it."""
    return await _allowed(installation, unit, location, [], path=path)


async def _allowed(
    installation: Installation,
    unit: Transaction,
    location: Location,
    own: Sequence[tuple[str, str]],
    *,
    path: Sequence[str],
) -> Location:
    key = location.key.strip("/")
    _check_key(key, path)
    if installation.rules.is_strict and any(map(str.isspace, key)):
        message = f"The key {key!r} holds a blank, which ModelArts does not take."
        raise _refused(message, path, hint="Rename the folder without blanks.")
    grants = await workspace.granted(unit.connection, unit.workspace_id)
    allowed = [*own, *((row["store"], row["prefix"]) for row in grants)]
    is_allowed = is_below(Location(location.store, key), allowed)
    # Also where a grant has outlived its store's setting.
    if location.store not in installation.stores:
        hint = f"There are: {', '.join(sorted(installation.stores))}."
        raise _refused(f"There is no store named {location.store!r}.", path, hint=hint)
    if not is_allowed:
        message = f"This workspace may not read {location.store}:{key}."
        raise _refused(message, path, hint=_place_hint(own))
    return Location(location.store, key)


def _check_key(key: str, path: Sequence[str]) -> None:
    scheme = _SCHEME.match(key)
    if scheme is not None:
        bare = key[scheme.end() :]
        message = f"A location's key is no URL; it is {key[:200]!r}."
        hint = f"Give the key alone, {bare[:200]!r}, less the name of a bucket, and the name of the store in `store`."
        raise _refused(message, path, hint=hint)
    if not is_key(key) or "\\" in key:
        message = "A key names a folder of the store, such as shared/job-7, without empty parts, . and .. parts."
        raise _refused(message, path, hint=KEY_HINT)


def _place_hint(own: Sequence[tuple[str, str]]) -> str:
    """What may be named in the place of one that is refused; nothing is said of folders that nobody may choose."""
    if not own:
        return GRANT_HINT
    folders = " or ".join(f"{store}:{prefix}" for store, prefix in own)
    return f"Its own folder is {folders}; others are granted by the operator with `./modelyard workspace grant`."


def _refused(message: str, path: Sequence[str], *, hint: str = GRANT_HINT) -> Refusal:
    return Refusal(ErrorCode.LOCATION_REFUSED, message, path=path, hint=hint)


def assigned(workspace_id: UUID, training_job_id: UUID, version_name: str) -> Location:
    return Location(DEFAULT_STORE, f"{own_prefix(workspace_id)}training-jobs/{training_job_id}/{version_name}")
