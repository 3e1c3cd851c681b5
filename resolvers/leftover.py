"""What the whole installation keeps and nobody needs any more: it is found and let go. Any step may be repeated."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import structlog
from asyncpg import ForeignKeyViolationError, Record

from artifacts.blob import BLOB_PREFIX, SHA256
from artifacts.object_store import ObjectInfo
from artifacts.package_directory import ArtifactDrift, discard
from db import clean_up, lease, model_version, stored_blob
from engines.engine import EnvironmentSpecification
from resolvers.deployment_target import environment_of
from resolvers.installation import Installation
from resolvers.upload import discard_expired

# Rows of the batch are locked while its bytes are deleted: whoever imports the same bytes waits so long.
BATCH = 50
CONCURRENCY = 8
LONGEST_COPY = timedelta(days=1)
LISTING = "listing of blobs"
LISTING_PAUSE_SECONDS = 86_400.0
LISTING_SECONDS = 600.0
LISTED_AT_ONCE = 1_000
SHARDS = tuple(f"{number:02x}" for number in range(256))
logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Discarded:
    """How much was let go; `blobs` of `size_bytes` together."""

    blobs: int = 0
    size_bytes: int = 0
    uploads: int = 0
    copies: int = 0
    environments: int = 0
    packages: int = 0


async def discard_leftovers(installation: Installation) -> Discarded:
    """Let go of what no version, service or upload holds. Raises StoreError and EngineError."""
    await adopt_strays(installation)
    blobs, size_bytes = await delete_unused_blobs(installation)
    return Discarded(
        blobs=blobs,
        size_bytes=size_bytes,
        uploads=await discard_expired(installation),
        copies=await installation.blobs.discard_abandoned(older_than=LONGEST_COPY),
        environments=await discard_environments(installation),
        packages=await discard_packages(installation),
    )


async def delete_unused_blobs(installation: Installation) -> tuple[int, int]:
    """Delete the blobs that no version holds: how many, and their bytes.

    A killed process leaves the rows of its batch, whose bytes are gone or not; they are deleted once more.
    """
    count = size_bytes = 0
    after = b""
    while True:
        rows = await _delete_batch(installation, after)
        if not rows:
            return count, size_bytes
        count += len(rows)
        size_bytes += sum(row["size_bytes"] for row in rows)
        after = max(row["sha256"] for row in rows)


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
    """Remove this host's environments that no version needs: how many. Raises StoreError and EngineError."""
    try:
        kept = await _kept_environments(installation)
    except ArtifactDrift as failure:
        logger.warning("environments were not looked through", reason=str(failure))
        return 0
    older_than = timedelta(seconds=installation.rules.unused_environment_seconds)
    return len(await installation.engine.discard_environments(kept=kept, older_than=older_than))


async def _kept_environments(installation: Installation) -> set[str]:
    """Digests. Another process may own the engine, so that this one does not know what its instances use."""
    kept = set(await clean_up.environments(installation.pool))
    for workspace_id, version_id in await clean_up.versions_without_build(installation.pool):
        version = await model_version.find(installation.pool, workspace_id, version_id)
        assert version is not None
        environment = await environment_of(installation, version)
        kept.add(await asyncio.to_thread(_digest, environment))
    return kept


def _digest(environment: EnvironmentSpecification) -> str:
    return environment.digest


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
