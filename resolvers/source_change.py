"""What was written to a package's place while it was imported."""

from collections.abc import Mapping
from contextlib import aclosing

from artifacts.object_store import ObjectInfo, ObjectStore
from resolvers.errors import ErrorCode
from resolvers.operation_attempt import STORE_HINTS, ImportFailed, problem_row

PROBLEM_LIMIT = 100


async def refuse_changes(store: ObjectStore, key: str, before: Mapping[str, ObjectInfo]) -> None:
    """Raise ImportFailed where what lies below a key is not all that lay there before, by the objects' keys.

    Lists no further than the first 100 changes: somebody may be writing there without end.
    """
    left, problems = dict(before), []
    async with aclosing(store.list(f"{key}/")) as listing:
        async for info in listing:
            seen = left.pop(info.key, None)
            if seen is None or (seen.etag, seen.size_bytes) != (info.etag, info.size_bytes):
                problems.append(change(info.key.removeprefix(f"{key}/"), seen, info))
                if len(problems) == PROBLEM_LIMIT:
                    raise source_changed(*problems)
    problems += [change(gone.removeprefix(f"{key}/"), info, None) for gone, info in left.items()]
    if problems:
        raise source_changed(*problems[:PROBLEM_LIMIT])


def source_changed(*problems: dict[str, object]) -> ImportFailed:
    return ImportFailed("IMPORT_FAILED", problems)


def change(path: str, before: ObjectInfo | None, after: ObjectInfo | None) -> dict[str, object]:
    """The problem of a file that was one object and is another."""
    verb = "was written to" if before and after else "was deleted" if before else "appeared"
    return problem_row(
        ErrorCode.SOURCE_CHANGED,
        f"{path} {verb} while the package was imported.",
        file=path,
        expected=_told(before),
        actual=_told(after),
        hint=STORE_HINTS[ErrorCode.SOURCE_CHANGED],
    )


def _told(info: ObjectInfo | None) -> str:
    return f"{info.size_bytes} bytes, ETag {info.etag}" if info else "no object"
