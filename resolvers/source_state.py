"""Whether what a version was imported from is still what it was then. That it is not is no error: an import copies."""

from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

from asyncpg import Record

from artifacts.object_store import ObjectStore, StoreError
from resolvers.installation import Installation
from resolvers.package_source import OBJECT_LIMIT
from resolvers.source_store import find_store

FILE_LIMIT = 100


class SourceState(StrEnum):
    UNCHANGED = "UNCHANGED"
    CHANGED = "CHANGED"
    GONE = "GONE"
    UNKNOWN = "UNKNOWN"


async def source_state(installation: Installation, version: Record, files: Sequence[Record]) -> dict[str, object]:
    """As versions keep it: the state, and the first files of the version that lie there no more as they were."""
    store = find_store(installation, version["source_store"])
    imported = {file["path"]: file["source_etag"] for file in files if file["source_etag"] is not None}
    if store is None or version["source_key"] is None or not imported:
        return _report(SourceState.UNKNOWN)
    try:
        found = await _list(store, version["source_key"], imported)
    except StoreError:
        return _report(SourceState.UNKNOWN)
    if found.is_whole and not found.etags:
        return _report(SourceState.GONE)
    changed = sorted(path for path, etag in imported.items() if found.differs(path, etag))
    if changed:
        return _report(SourceState.CHANGED, changed)
    is_known = found.is_whole or len(found.etags) == len(imported)
    return _report(SourceState.UNCHANGED if is_known else SourceState.UNKNOWN)


@dataclass(slots=True)
class _Listing:
    """The ETags of those imported files that lie there; of a listing that was broken off, of the first of them."""

    etags: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True

    def differs(self, path: str, etag: str) -> bool:
        return self.etags[path] != etag if path in self.etags else self.is_whole


async def _list(store: ObjectStore, key: str, imported: Collection[str]) -> _Listing:
    """At most 100,000 objects are looked at: a package had no more, whatever was put beside it since."""
    found, count = _Listing(), 0
    async with aclosing(store.list(f"{key}/")) as listing:
        async for info in listing:
            count += 1
            if count > OBJECT_LIMIT:
                found.is_whole = False
                break
            path = info.key.removeprefix(f"{key}/")
            if path in imported:
                found.etags[path] = info.etag
    return found


def _report(state: SourceState, changed: Sequence[str] = ()) -> dict[str, object]:
    return {"state": state, "changed_files": list(changed[:FILE_LIMIT])}
