"""The files of a package where they lie: listed, read and scanned there."""

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO, cast

from artifacts.json_node import printable, shown
from artifacts.model_directory import locate_model_directory, points_at_file
from artifacts.object_store import MAX_KEY_BYTES, InvalidKey, ObjectInfo, ObjectStore, UnlistedFile
from artifacts.pickle_scan import FileScan, ScanState
from artifacts.problem import Problem, ProblemCode
from artifacts.scan_thread import NOT_REACHED, ScanThreads
from resolvers.scan_policy import ScanAction, ScanPolicy

CONFIG_NAME = "config.json"
CODE_NAME = "customize_service.py"
CONFIG_LIMIT_BYTES = 2**20
OBJECT_LIMIT = 100_000


class PackageRefused(Exception):
    """A package that cannot be found or looked through."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`path` is relative to the model directory."""

    path: str
    info: ObjectInfo


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The key of a model directory, and what lies in it."""

    key: str
    files: tuple[SourceFile, ...]


async def list_folder(store: ObjectStore, key: str) -> list[ObjectInfo]:
    """Everything below a key, at most 100,000 objects. Raises PackageRefused and StoreError."""
    objects: list[ObjectInfo] = []
    try:
        await _list(store, key, objects)
    except InvalidKey as invalid:
        raise PackageRefused([_location_invalid(key, invalid)]) from invalid
    return objects


async def _list(store: ObjectStore, key: str, objects: list[ObjectInfo]) -> None:
    async with aclosing(store.list(f"{key}/")) as listing:
        async for info in listing:
            objects.append(info)
            if len(objects) > OBJECT_LIMIT:
                message = f"More than {OBJECT_LIMIT:,} objects lie under {key}."
                hint = "Point at the folder of one model."
                raise PackageRefused([Problem(ProblemCode.UNSUPPORTED_FORMAT, message, hint=hint)])


def _location_invalid(key: str, invalid: InvalidKey) -> Problem:
    message = f"The location {key} cannot be read: {invalid.reason}."
    hint = "Name the folder itself, by its place in the store: symbolic links are not followed."
    return Problem(ProblemCode.FILE_PATH_INVALID, message, hint=hint)


async def find_files(
    store: ObjectStore, key: str, version_name: str | None, *, needs_config: bool = True
) -> FoundFiles:
    """The model directory below a key: of a training job's version where one is named, else `model/` or the key itself.

    Raises PackageRefused and StoreError.
    """
    objects = {info.key.removeprefix(f"{key}/"): info for info in await list_folder(store, key)}
    located = locate_model_directory(objects, version_name, key=key, needs_config=needs_config)
    if located.directory is None:
        is_file = not objects and await store.head(key) is not None
        problems = (points_at_file(key),) if is_file else located.problems
        raise PackageRefused([*await _unlisted(store, f"{key}/"), *problems])
    prefix = located.directory.prefix
    if left_out := await _unlisted(store, f"{key}/{prefix}"):
        # What seems to be missing from such a package may be what was left out.
        raise PackageRefused(left_out)
    files = tuple(
        SourceFile(path.removeprefix(prefix), info)
        for path, info in objects.items()
        if path.startswith(prefix) and not path.endswith("/")
    )
    return FoundFiles(f"{key}/{prefix}".rstrip("/"), files)


async def _unlisted(store: ObjectStore, prefix: str) -> list[Problem]:
    return [_file_unlisted(file, file.path.removeprefix(prefix)) for file in await store.unlisted(prefix)]


def _file_unlisted(file: UnlistedFile, path: str) -> Problem:
    return Problem(
        ProblemCode.FILE_PATH_INVALID,
        f"{shown(path)} {file.reason}, so it would be missing from the version.",
        printable(path)[:MAX_KEY_BYTES],
        hint="Put the file itself there, under a name in UTF-8 without control characters; "
        "`cp -RL` copies what links point at.",
    )


async def read_file(store: ObjectStore, info: ObjectInfo, *, limit_bytes: int) -> bytes:
    """An object's bytes, or its first `limit_bytes` and one more. Raises StoreError."""
    data = bytearray()
    end_bytes = min(info.size_bytes, limit_bytes + 1)
    async with aclosing(store.read(info.key, end_bytes=end_bytes, if_match=info.etag)) as chunks:
        async for chunk in chunks:
            data += chunk
    return bytes(data)


async def read_config_file(store: ObjectStore, key: str) -> tuple[bytes, int]:
    """A config.json by its own key or by that of its folder, as far as it is read, and its size.

    Raises PackageRefused and StoreError.
    """
    try:
        for candidate in (key, f"{key}/{CONFIG_NAME}"):
            info = await store.head(candidate)
            if info is not None:
                return await read_file(store, info, limit_bytes=CONFIG_LIMIT_BYTES), info.size_bytes
    except InvalidKey as invalid:
        raise PackageRefused([_location_invalid(key, invalid)]) from invalid
    message = f"There is no {CONFIG_NAME} at the location: neither {key} nor {key}/{CONFIG_NAME} is a file."
    hint = "Check the location for a slip of the pen, upload the config there, or give it as text in `config`."
    raise PackageRefused([Problem(ProblemCode.CONFIG_MISSING, message, CONFIG_NAME, hint=hint)])


async def scan_files(
    threads: ScanThreads,
    store: ObjectStore,
    files: Sequence[SourceFile],
    *,
    file_size_limit_bytes: int,
    seconds: float,
) -> dict[str, FileScan]:
    """What pickles name, by path, where they lie; what is not reached in time is NOT_SCANNED. Raises StoreError."""
    ends_at = time.monotonic() + seconds
    scans = {}
    for file in files:
        info = file.info
        if info.size_bytes <= file_size_limit_bytes:
            is_late = time.monotonic() > ends_at
            scans[file.path] = (
                NOT_REACHED
                if is_late
                else await scan_object(threads, store, info.key, file.path, info.size_bytes, ends_at=ends_at)
            )
    return scans


async def scan_object(
    threads: ScanThreads, store: ObjectStore, key: str, path: str, size_bytes: int, *, ends_at: float | None = None
) -> FileScan:
    """As ScanThreads.scan, where the file lies. Raises StoreError."""
    with await store.open_seekable(key) as file:
        return await threads.scan(cast(BinaryIO, file), path, size_bytes, ends_at=ends_at)


def judge(path: str, scan: FileScan, policy: ScanPolicy) -> tuple[list[Problem], list[Problem]]:
    """What follows from a scan by a workspace's policy: problems, and warnings."""
    match scan.state:
        case ScanState.CLEAN:
            return [], []
        case ScanState.UNKNOWN:
            return _by_action(policy.unknown, _unknown(path, scan))
        case ScanState.NOT_SCANNED:
            return _by_action(policy.not_scanned, _not_scanned(path, scan))
        case ScanState.SUSPICIOUS:
            return _by_action(policy.suspicious, _suspicious(path, scan))


def _by_action(action: ScanAction, found: Problem) -> tuple[list[Problem], list[Problem]]:
    match action:
        case ScanAction.BLOCK:
            return [found], []
        case ScanAction.WARN:
            return [], [found]
        case ScanAction.ALLOW:
            return [], []


def _names(scan: FileScan) -> str:
    return ", ".join(scan.globals[:20])


def _unknown(path: str, scan: FileScan) -> Problem:
    names = _names(scan)
    message = f"{path} names classes that are not known to be harmless: {names}."
    hint = "If they are yours, or of a library that the model needs, nothing need be done."
    return Problem(ProblemCode.UNKNOWN_PICKLE, message, file=path, actual=names, hint=hint)


def _not_scanned(path: str, scan: FileScan) -> Problem:
    message = f"{path} could not be scanned: {scan.reason}."
    hint = "If you trust where the file comes from, nothing need be done."
    return Problem(ProblemCode.NOT_SCANNED, message, file=path, hint=hint)


def _suspicious(path: str, scan: FileScan) -> Problem:
    named = _names(scan) or scan.reason
    return Problem(
        ProblemCode.UNSAFE_PICKLE,
        f"{path} runs code when it is loaded: {named}.",
        file=path,
        actual=named,
        hint="Save the model anew from a trusted place, or in a format without code. "
        "What the workspace does with such files is its scanPolicy, which updateWorkspace changes.",
    )
