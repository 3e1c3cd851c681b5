"""A folder as an object store: what the installation uses until it is given S3."""

from __future__ import annotations

import asyncio
import builtins
import errno
import io
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from artifacts import worker_thread
from artifacts.byte_stream import HashedStream, blocks
from artifacts.folder_file import DraftFile, SourceFile
from artifacts.folder_tree import FolderTree
from artifacts.folder_upload import FolderUpload, PartFile, begin_upload, find_upload
from artifacts.object_store import (
    CHUNK_BYTES,
    UNLISTED_LIMIT,
    InvalidKey,
    ObjectChanged,
    ObjectInfo,
    ObjectNotFound,
    StoreDenied,
    StoredPart,
    StoreFull,
    StoreUnavailable,
    UnlistedFile,
    UploadBusy,
    UploadNotFound,
    UploadPart,
    upload_parts,
)
from artifacts.signed_url import UrlSigner, object_path, part_path

LIST_BATCH = 1000
# Smaller than a chunk: every client that is sending a part costs some three of these.
PART_BLOCK_BYTES = 2 << 20
CHECK_SECONDS = 5.0
BUSY_SECONDS = 10.0
BUSY_POLL_SECONDS = 0.05
# A file that is too large for the file system or for the process' limit is one there is no room for, too.
FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class FolderStore:
    """Objects are files below `root`, named by their keys; several processes of one host may use it at once.

    Its signed URLs begin with `public_url` and are answered by server/storage.py.
    """

    copies_server_side = False
    bucket = None

    def __init__(
        self,
        root: Path,
        *,
        public_url: str | Callable[[], str],
        signing_key: bytes,
        name: str = "default",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.signer = UrlSigner(signing_key, clock=clock)
        self._tree = FolderTree(root)
        self._public_url = public_url

    async def open(self) -> None:
        await self._run("", self._tree.prepare)

    async def close(self) -> None:
        """Nothing stays open between two calls."""

    async def check(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                # Not worker_thread.run, which would wait for a file system that hangs.
                await asyncio.to_thread(self._tree.check)
        except TimeoutError as error:
            raise StoreUnavailable(self.name, f"no answer within {CHECK_SECONDS:.0f} seconds") from error
        except OSError as error:
            raise StoreUnavailable(self.name, "its folder is missing or may not be used") from error

    async def head(self, key: str) -> ObjectInfo | None:
        return await self._run(key, self._tree.head, key)

    async def read(
        self, key: str, *, start_bytes: int = 0, end_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """As ObjectStore.read; a file that was written to meanwhile raises ObjectChanged at its end."""
        source = SourceFile(key)
        try:
            end, chunk = await self._run(key, self._begin, source, start_bytes, end_bytes, if_match)
            start_bytes += len(chunk)
            if start_bytes < end:
                async with aclosing(self._read_ahead(source, chunk, start_bytes, end)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                await self._run(key, source.info, if_match)
            elif chunk:
                yield chunk
        finally:
            source.close()

    def _begin(
        self, source: SourceFile, start_bytes: int, end_bytes: int | None, if_match: str | None
    ) -> tuple[int, bytes]:
        """Where to end, and the first chunk, which most objects are: one turn of a thread reads them whole."""
        try:
            info = source.open(self._tree.locate(source.key), if_match)
        except ObjectNotFound:
            # On a disk that is not mounted no file is found either.
            self._tree.check()
            raise
        end = info.size_bytes if end_bytes is None else min(end_bytes, info.size_bytes)
        chunk = source.read_at(start_bytes, end)
        source.info(if_match)
        return end, chunk

    async def _read_ahead(
        self, source: SourceFile, chunk: bytes, start_bytes: int, end_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """The chunk before `start_bytes` and those after it, each read while the consumer works on the last."""
        while start_bytes < end_bytes:
            if not chunk:
                raise ObjectChanged(source.key)
            ahead = worker_thread.start(source.read_at, start_bytes, end_bytes)
            try:
                yield chunk
                with self._failures(source.key):
                    chunk = await asyncio.shield(ahead)
            finally:
                await worker_thread.settle(ahead)
            start_bytes += len(chunk)
        yield chunk

    async def open_seekable(self, key: str) -> io.BufferedIOBase:
        path = await self.local_path(key)
        return await self._run(key, path.open, "rb")

    async def local_path(self, key: str) -> Path:
        """Where the object's bytes lie, for those who can use a file. Raises ObjectNotFound."""
        if await self.head(key) is None:
            raise ObjectNotFound(key)
        return await self._run(key, self._tree.locate, key)

    async def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        objects = self._tree.list(prefix)
        while batch := await self._run(prefix, lambda: tuple(islice(objects, LIST_BATCH))):
            for info in batch:
                yield info

    async def unlisted(self, prefix: str) -> builtins.list[UnlistedFile]:
        return await self._run(prefix, lambda: [*islice(self._tree.unlisted(prefix), UNLISTED_LIMIT)])

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> ObjectInfo:
        draft, last = DraftFile(self._tree.drafts / uuid4().hex), b""
        try:
            async for block in blocks(chunks, CHUNK_BYTES):
                if len(block) < CHUNK_BYTES:
                    # Written by the turn of a thread that puts the file in place: most objects need no other.
                    last = block
                else:
                    await self._run(key, self._write, draft, key, block)
            return await self._run(key, self._place, draft, key, last)
        finally:
            if draft.is_open:
                await worker_thread.run(draft.close)

    def _write(self, draft: DraftFile, key: str, block: bytes) -> Path:
        """Where the object will lie, looked at before anything is written."""
        target = self._tree.locate(key)
        draft.write(block)
        return target

    def _place(self, draft: DraftFile, key: str, block: bytes) -> ObjectInfo:
        return draft.place(key, self._write(draft, key, block))

    async def delete(self, key: str) -> None:
        await self._run(key, self._tree.delete, key)

    async def copy(self, source_key: str, key: str, *, if_match: str | None) -> None:
        async with aclosing(self.read(source_key, if_match=if_match)) as chunks:
            await self.put(key, chunks)

    async def move(self, source_key: str, key: str) -> None:
        await self._run(key, self._tree.move, source_key, key)

    def parts(self, size_bytes: int) -> builtins.list[UploadPart]:
        return upload_parts(size_bytes)

    async def begin_upload(self, key: str, size_bytes: int) -> str:
        await self._run(key, self._tree.locate, key)
        upload = await self._run(key, begin_upload, self._tree.uploads, key, size_bytes)
        return upload.id

    async def presign_part(self, key: str, upload_id: str, part: UploadPart, *, expires_seconds: int) -> str:
        path = part_path(self.name, upload_id, part.number)
        return self._sign("PUT", path, {"size": str(part.size_bytes)}, expires_seconds)

    async def write_part(self, upload_id: str, number: int, chunks: AsyncIterable[bytes]) -> StoredPart:
        """Writes one part; its ETag is the SHA-256 of its bytes.

        Raises UploadNotFound, UploadBusy, and PartSizeWrong where the chunks are not exactly the part's size.
        """
        upload = await self._run("", find_upload, self._tree.uploads, upload_id)
        file = PartFile(upload, number)
        try:
            await self._run("", file.open)
            stream = HashedStream(blocks(chunks, PART_BLOCK_BYTES))
            async for block in stream:
                await self._run("", file.write, block)
            return await self._run("", file.finish, stream.sha256)
        finally:
            await worker_thread.run(file.close)

    async def stored_parts(self, key: str, upload_id: str) -> builtins.list[StoredPart]:
        return await self._run(key, lambda: self._find_upload(key, upload_id).stored_parts())

    async def complete_upload(self, key: str, upload_id: str, size_bytes: int) -> ObjectInfo:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return await self._run(key, self._complete, key, upload_id, size_bytes)
            except UploadBusy:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(BUSY_POLL_SECONDS)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        with suppress(UploadNotFound):
            await self._run(key, lambda: self._find_upload(key, upload_id).discard())

    async def presign_get(self, key: str, *, expires_seconds: int, filename: str | None = None) -> str:
        await self._run(key, self._tree.locate, key)
        parameters = {} if filename is None else {"filename": filename}
        return self._sign("GET", object_path(self.name, key), parameters, expires_seconds)

    def _sign(self, method: str, path: str, parameters: dict[str, str], expires_seconds: int) -> str:
        base = self._public_url if isinstance(self._public_url, str) else self._public_url()
        return base.rstrip("/") + self.signer.sign(method, path, parameters, expires_seconds=expires_seconds)

    def _find_upload(self, key: str, upload_id: str) -> FolderUpload:
        upload = find_upload(self._tree.uploads, upload_id)
        if upload.key != key:
            raise UploadNotFound(upload_id)
        return upload

    def _complete(self, key: str, upload_id: str, size_bytes: int) -> ObjectInfo:
        with suppress(UploadNotFound):
            self._find_upload(key, upload_id).complete(self._tree.locate(key), size_bytes)
        info = self._tree.head(key)
        if info is None or info.size_bytes != size_bytes:
            raise UploadNotFound(upload_id)
        return info

    async def _run(
        self, key: str, function: Callable[Arguments, Result], *arguments: Arguments.args, **keywords: Arguments.kwargs
    ) -> Result:
        with self._failures(key):
            return await worker_thread.run(function, *arguments, **keywords)

    @contextmanager
    def _failures(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(self.name, "its folder is missing") from error
        except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise InvalidKey(key, "a folder has the name of another object, or an object that of a folder") from error
        except PermissionError as error:
            raise StoreDenied(self.name, "this process may not use its folder") from error
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO)
            if error.errno in FULL_ERRORS:
                raise StoreFull(self.name, reason) from error
            raise StoreUnavailable(self.name, reason) from error
