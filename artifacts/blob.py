"""Bytes of imported models, stored once under their SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from artifacts.byte_stream import HashedStream
from artifacts.object_store import ObjectStore

BLOB_PREFIX = "blobs/sha256/"
INCOMING_PREFIX = "blobs/incoming/"
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

ReportProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Blob:
    """`sha256` is hexadecimal, in lower case."""

    sha256: str
    size_bytes: int


Reserve = Callable[[Blob], Awaitable[None]]


def blob_key(sha256: str) -> str:
    """Where a blob lies in its store. Raises ValueError for what is not a SHA-256."""
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256 in hexadecimal.")
    return f"{BLOB_PREFIX}{sha256[:2]}/{sha256}"


async def no_reservation(_: Blob) -> None:
    """For a store from which nobody deletes meanwhile."""


class BlobStore:
    """The blobs of one store. Who deletes one must know that nobody holds it, nor has reserved it lately."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    async def ingest(
        self,
        source: ObjectStore,
        key: str,
        *,
        etag: str,
        on_progress: ReportProgress | None = None,
        reserve: Reserve = no_reservation,
    ) -> Blob:
        """Streams every byte of the source object once, and keeps it.

        Bytes that are there already are written again: if something has damaged them since, that mends them.
        `on_progress` is told the bytes read so far. `reserve` is awaited once the bytes are known, before they are put
        in their place: whoever deletes blobs leaves alone, from then on, what it names.
        Raises ObjectChanged where the object's ETag is not `etag`, ObjectNotFound, and what either store raises.
        """
        async with aclosing(source.read(key, if_match=etag)) as chunks:
            read = _reported(chunks, on_progress) if on_progress else chunks
            stream = HashedStream(read)
            if source is self.store and source.copies_server_side:
                return await self._copy(stream, key, etag, reserve)
            return await self._write(stream, reserve)

    async def keep(self, data: bytes, *, reserve: Reserve = no_reservation) -> Blob:
        """Keeps bytes that are in memory, as `ingest` does. Raises what the store raises."""
        blob = Blob(await asyncio.to_thread(_sha256, data), len(data))
        await reserve(blob)
        await self.store.put(blob_key(blob.sha256), _once(data))
        return blob

    def read(self, sha256: str, *, start_bytes: int = 0, end_bytes: int | None = None) -> AsyncGenerator[bytes, None]:
        """As ObjectStore.read. Does not verify the bytes."""
        return self.store.read(blob_key(sha256), start_bytes=start_bytes, end_bytes=end_bytes)

    async def actual(self, sha256: str, on_progress: ReportProgress | None = None) -> Blob:
        """What the bytes stored under a SHA-256 really are: all of them are read. Raises ObjectNotFound."""
        async with aclosing(self.read(sha256)) as chunks:
            stream = HashedStream(_reported(chunks, on_progress) if on_progress else chunks)
            async for _ in stream:
                pass
        return Blob(stream.sha256, stream.size_bytes)

    async def open_seekable(self, sha256: str) -> io.BufferedIOBase:
        """Opens the blob for reading in a worker thread; not to be read on the event loop. Raises ObjectNotFound."""
        return await self.store.open_seekable(blob_key(sha256))

    async def exists(self, sha256: str) -> bool:
        return await self.store.head(blob_key(sha256)) is not None

    async def delete(self, sha256: str) -> None:
        """Deletes the blob; does nothing where there is none."""
        await self.store.delete(blob_key(sha256))

    async def discard_abandoned(self, *, older_than: timedelta) -> int:
        """Deletes what killed processes were still bringing in; returns the number of objects."""
        deadline = datetime.now(UTC) - older_than
        abandoned = [info.key async for info in self.store.list(INCOMING_PREFIX) if info.modified_at < deadline]
        for key in abandoned:
            await self.store.delete(key)
        return len(abandoned)

    async def _copy(self, stream: HashedStream, key: str, etag: str, reserve: Reserve) -> Blob:
        async for _ in stream:
            pass
        blob = Blob(stream.sha256, stream.size_bytes)
        await reserve(blob)
        await self.store.copy(key, blob_key(blob.sha256), if_match=etag)
        return blob

    async def _write(self, stream: HashedStream, reserve: Reserve) -> Blob:
        incoming = f"{INCOMING_PREFIX}{uuid4().hex}"
        try:
            await self.store.put(incoming, stream)
            blob = Blob(stream.sha256, stream.size_bytes)
            await reserve(blob)
            await self.store.move(incoming, blob_key(blob.sha256))
            return blob
        finally:
            await self.store.delete(incoming)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    if data:
        yield data


async def _reported(chunks: AsyncIterable[bytes], on_progress: ReportProgress) -> AsyncGenerator[bytes, None]:
    read_bytes = 0
    async for chunk in chunks:
        read_bytes += len(chunk)
        on_progress(read_bytes)
        yield chunk
