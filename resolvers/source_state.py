"""Whether what a version was imported from is still what it was then. That it is not is no error: an import copies."""

from collections.abc import Sequence
from contextlib import aclosing
from enum import StrEnum

from asyncpg import Record

from artifacts.object_store import ObjectStore, StoreError
from resolvers.installation import Installation

FILE_LIMIT = 100


class SourceState(StrEnum):
    UNCHANGED = "UNCHANGED"
    CHANGED = "CHANGED"
    GONE = "GONE"
    UNKNOWN = "UNKNOWN"


async def source_state(installation: Installation, version: Record, files: Sequence[Record]) -> dict[str, object]:
    """As versions keep it: the state, and the first files of the version that lie there no more as they were."""
    store = installation.stores.get(version["source_store"]) if version["source_store"] else None
    imported = {file["path"]: file["source_etag"] for file in files if file["source_etag"] is not None}
    if store is None or version["source_key"] is None or not imported:
        return _report(SourceState.UNKNOWN)
    try:
        changed = await _changed(store, version["source_key"], imported)
    except StoreError:
        return _report(SourceState.UNKNOWN)
    if len(changed) == len(imported) and all(is_gone for is_gone in changed.values()):
        return _report(SourceState.GONE)
    return _report(SourceState.CHANGED if changed else SourceState.UNCHANGED, sorted(changed))


async def _changed(store: ObjectStore, key: str, imported: dict[str, str]) -> dict[str, bool]:
    """By path, whether the file is gone: of those that are not the object that was imported."""
    changed = dict.fromkeys(imported, True)
    async with aclosing(store.list(f"{key}/")) as listing:
        async for info in listing:
            path = info.key.removeprefix(f"{key}/")
            if path in imported:
                if imported[path] == info.etag:
                    del changed[path]
                else:
                    changed[path] = False
    return changed


def _report(state: SourceState, changed: Sequence[str] = ()) -> dict[str, object]:
    return {"state": state, "changed_files": list(changed[:FILE_LIMIT])}
