"""What the whole installation keeps and nobody needs any more: it is found and let go. Any step may be repeated."""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol
from uuid import UUID, uuid4

import structlog
from asyncpg import ForeignKeyViolationError, Record

from artifacts.blob import BLOB_PREFIX, SHA256
from artifacts.object_store import ObjectInfo, StoreError
from artifacts.package_directory import discard
from db import clean_up, lease, model_version, stored_blob
from db.failure import DATABASE_ERRORS
from engines.engine import EngineError, environment_digest
from resolvers.expired_upload import discard_expired
from resolvers.installation import Installation
from resolvers.service_log import discard_old_lines
from resolvers.service_metrics import discard_old_metrics

# Rows of the batch are locked while its bytes are deleted: whoever imports the same bytes waits so long.
BATCH = 50
CONCURRENCY = 8
LONGEST_COPY = timedelta(days=1)
SHARED = "housekeeping"
# A little less than the hour after which a process comes again.
SHARED_PAUSE_SECONDS = 3_500.0
LISTING = "listing of blobs"
LISTING_PAUSE_SECONDS = 86_400.0
LISTING_SECONDS = 600.0
LISTED_AT_ONCE = 1_000
SHARDS = tuple(f"{number:02x}" for number in range(256))
logger = structlog.get_logger()


class Step(Protocol):
    """A part of the housekeeping that may be repeated: it answers how much was done, or nothing."""

    __name__: str

    async def __call__(self, installation: Installation, /) -> object: ...


async def do_each(installation: Installation, steps: Sequence[Step]) -> None:
    """Take the steps one after the other; one that fails is logged, and keeps none from its turn."""
    for step in steps:
        try:
            done = await step(installation)
        except (StoreError, EngineError, *DATABASE_ERRORS) as failure:
            logger.warning("housekeeping broke off", step=step.__name__, reason=str(failure) or repr(failure))
        except Exception:
            # Nobody looks at what an hourly task raises: one bad row would end all housekeeping for good.
            logger.exception("housekeeping broke off", step=step.__name__)
        else:
            if done:
                logger.info("housekeeping was done", step=step.__name__, count=done)


async def discard_of_all(installation: Installation) -> None:
    """Let go of what no version and no upload of any workspace holds, by one process in an hour."""
    if await lease.take(installation.pool, SHARED, uuid4(), SHARED_PAUSE_SECONDS):
        await do_each(
            installation, (discard_expired, discard_old_lines, discard_old_metrics, adopt_strays, _delete_unused_blobs)
        )


async def discard_of_host(installation: Installation) -> None:
    """Let go of this host's folders. Each process looks itself: on another host there are others."""
    # The folders first: a disk that is full may keep everything else from being done.
    await do_each(installation, (discard_packages, discard_environments))


async def discard_copies(installation: Installation) -> int:
    """What killed workers were still bringing in; little to look at, so that each worker does as it starts."""
    return await installation.blobs.discard_abandoned(older_than=LONGEST_COPY)


async def _delete_unused_blobs(installation: Installation) -> int:
    count, size_bytes = await delete_unused_blobs(installation)
    if count:
        logger.info("files that no version holds were deleted", count=count, size_bytes=size_bytes)
    return count


async def delete_unused_blobs(installation: Installation, *, batches: int | None = None) -> tuple[int, int]:
    """Delete the blobs that no version holds, so many batches of them or all: how many, and their bytes.

    A killed process leaves the rows of its batch, whose bytes are gone or not; they are deleted once more.
    Raises StoreError.
    """
    count = size_bytes = 0
    after = b""
    for _ in range(batches) if batches is not None else itertools.count():
        rows = await _delete_batch(installation, after)
        if not rows:
            break
        count += len(rows)
        size_bytes += sum(row["size_bytes"] for row in rows)
        after = max(row["sha256"] for row in rows)
    return count, size_bytes


async def _delete_batch(installation: Installation, after: bytes) -> Sequence[Record]:
    gate = asyncio.Semaphore(CONCURRENCY)

    async def delete_bytes(sha256: bytes) -> None:
        async with gate:
            await installation.blobs.delete(sha256.hex())

    try:
        async with installation.pool.acquire() as connection, connection.transaction():
            rows = await stored_blob.delete_unused(
                connection, after=after, untouched_seconds=installation.rules.unused_file_seconds, limit=BATCH
            )
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(delete_bytes(row["sha256"]))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    except ForeignKeyViolationError:
        # A version came to hold one of them in this moment: they are looked at another time.
        return ()
    return rows


async def adopt_strays(installation: Installation) -> int:
    """Give rows to bytes that have none, at most once a day: they are then deleted as all others are.

    They are what a process left that was killed between writing bytes and writing their row. The listing takes ten
    minutes at the most; it goes through the store in another order each time.
    """
    if not await lease.take(installation.pool, LISTING, uuid4(), LISTING_PAUSE_SECONDS):
        return 0
    adopted = 0
    try:
        async with asyncio.timeout(LISTING_SECONDS), aclosing(_listed(installation)) as listed:
            async for blobs in listed:
                adopted += await stored_blob.adopt(installation.pool, blobs)
    except TimeoutError:
        return adopted
    return adopted


async def _listed(installation: Installation) -> AsyncGenerator[list[stored_blob.FoundBlob], None]:
    """The blobs that were written long enough ago, some at a time."""
    deadline = datetime.now(UTC) - LONGEST_COPY
    found: list[stored_blob.FoundBlob] = []
    for shard in random.sample(SHARDS, len(SHARDS)):
        async with aclosing(installation.blobs.store.list(f"{BLOB_PREFIX}{shard}/")) as listing:
            async for info in listing:
                if info.modified_at < deadline and (blob := _found(info)):
                    found.append(blob)
                if len(found) == LISTED_AT_ONCE:
                    yield found
                    found = []
    yield found


def _found(info: ObjectInfo) -> stored_blob.FoundBlob | None:
    sha256 = info.key.rpartition("/")[2]
    if not SHA256.fullmatch(sha256):
        return None
    return stored_blob.FoundBlob(bytes.fromhex(sha256), info.size_bytes, info.modified_at)


async def discard_environments(installation: Installation) -> int:
    """Remove this host's environments that no version needs: how many. Raises EngineError."""
    kept = await _kept_environments(installation)
    older_than = timedelta(seconds=installation.rules.unused_environment_seconds)
    return len(await installation.engine.discard_environments(kept=kept, older_than=older_than))


async def _kept_environments(installation: Installation) -> set[str]:
    """Digests. Another process may own the engine, so that this one does not know what its instances use."""
    kept = set(await clean_up.environments(installation.pool))
    for workspace_id, version_id in await clean_up.versions_without_build(installation.pool):
        version = await model_version.find(installation.pool, workspace_id, version_id)
        assert version is not None
        kept |= await _digests(installation, version)
    return kept


async def _digests(installation: Installation, version: Record) -> set[str]:
    """The digest of a version's environment, by what is known of its wheels: the bytes themselves may be damaged."""
    names = [PurePosixPath(dependency["package"]) for dependency in version["dependencies"]]
    wheels = [name for name in names if name.suffix == ".whl"]
    files = await model_version.all_files(installation.pool, version["workspace_id"], version["id"]) if wheels else []
    sha256s = {file["path"]: file["sha256"] for file in files}
    if missing := [str(wheel) for wheel in wheels if str(wheel) not in sha256s]:
        # Without its wheels no environment of the version's was ever built.
        logger.warning("a version lacks its wheels", version_id=str(version["id"]), files=missing)
        return set()
    named = [(wheel.name, sha256s[str(wheel)]) for wheel in wheels]
    return {environment_digest(version["runtime"], version["requirements"] or (), named)}


async def discard_packages(installation: Installation) -> int:
    """Remove this host's folders of packages that nobody needs, each of which can be laid out again: how many."""
    deadline = datetime.now(UTC).timestamp() - installation.rules.unused_environment_seconds
    removed = 0
    for folder in await asyncio.to_thread(_folders_before, installation.packages, deadline):
        version_id = UUID(folder.name)

        async def is_needed(version_id: UUID = version_id) -> bool:
            return await clean_up.is_package_needed(installation.pool, version_id)

        if not await is_needed() and await discard(folder, unless=is_needed):
            removed += 1
    return removed


def _folders_before(packages: Path, deadline: float) -> list[Path]:
    """The folders of versions that were laid out before a time."""
    if not packages.is_dir():
        return []
    return [path for path in packages.iterdir() if _is_id(path.name) and path.lstat().st_mtime <= deadline]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
