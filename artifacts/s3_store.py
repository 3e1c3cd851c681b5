"""A bucket of S3, or of a look-alike, as an object store. Slow to import: only where it is used."""

from __future__ import annotations

import asyncio
import builtins
import io
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from artifacts.object_store import (
    TEXT_SUFFIXES,
    ObjectChanged,
    ObjectInfo,
    ObjectNotFound,
    StoreDenied,
    StoredPart,
    StoreUnavailable,
    UnlistedFile,
    UploadIncomplete,
    UploadNotFound,
    UploadPart,
    check_expiry,
    check_key,
    check_prefix,
    is_key,
    missing_parts,
    upload_parts,
)
from artifacts.range_reader import BUFFER_BYTES, RangeReader
from artifacts.s3_client import S3Endpoint, s3_client
from artifacts.s3_failure import s3_failures
from artifacts.s3_object import S3Object, bare_etag, copy_in_parts, copy_object, put_stream, quoted_etag, read_object

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

CHECK_SECONDS = 5.0
COPY_LIMIT_BYTES = 5 << 30
COPY_PART_BYTES = 1 << 30


class S3Store:
    """Objects lie in `bucket` under `prefix`; signed URLs name `public_endpoint` where one is given."""

    copies_server_side = True

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: S3Endpoint,
        public_endpoint: S3Endpoint | None = None,
        prefix: str = "",
        name: str = "default",
        copy_limit_bytes: int = COPY_LIMIT_BYTES,
        copy_part_bytes: int = COPY_PART_BYTES,
    ) -> None:
        """`copy_limit_bytes` is the largest object that one request may copy: 5 GiB in S3."""
        self.name = name
        self._bucket = bucket
        self._prefix = prefix
        self._endpoint = endpoint
        self._public_endpoint = public_endpoint or endpoint
        self._copy_limit_bytes = copy_limit_bytes
        self._copy_part_bytes = copy_part_bytes
        self._connections = AsyncExitStack()
        self._opened: tuple[S3Client, S3Client] | None = None

    @property
    def bucket(self) -> tuple[str, str]:
        return self._bucket, self._prefix

    async def open(self) -> None:
        client = await self._connections.enter_async_context(s3_client(self._endpoint))
        public_client = client
        if self._public_endpoint != self._endpoint:
            public_client = await self._connections.enter_async_context(s3_client(self._public_endpoint))
        self._opened = client, public_client

    async def close(self) -> None:
        self._opened = None
        await self._connections.aclose()

    async def check(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                with s3_failures(self.name):
                    await self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        except StoreDenied as error:
            raise StoreUnavailable(self.name, error.reason) from error
        except TimeoutError as error:
            raise StoreUnavailable(self.name, f"no answer within {CHECK_SECONDS:.0f} seconds") from error

    async def head(self, key: str) -> ObjectInfo | None:
        try:
            with s3_failures(self.name, key=key):
                answer = await self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        except ObjectNotFound:
            return None
        return ObjectInfo(key, answer["ContentLength"], answer["LastModified"], bare_etag(answer["ETag"]))

    async def read(
        self, key: str, *, start_bytes: int = 0, end_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        stream = read_object(self._object(key), start_bytes=start_bytes, end_bytes=end_bytes, if_match=if_match)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

    async def open_seekable(self, key: str) -> io.BufferedIOBase:
        info = await self._expect(key, None)

        async def read_range(start_bytes: int, end_bytes: int) -> bytes:
            chunks = self.read(key, start_bytes=start_bytes, end_bytes=end_bytes, if_match=info.etag)
            return b"".join([chunk async for chunk in chunks])

        reader = RangeReader(read_range, info.size_bytes, asyncio.get_running_loop())
        return io.BufferedReader(reader, BUFFER_BYTES)

    async def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        check_prefix(prefix)
        paginator = self._client.get_paginator("list_objects_v2")
        with s3_failures(self.name):
            async for page in paginator.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._prefix)
                    if is_key(key):
                        yield ObjectInfo(key, entry["Size"], entry["LastModified"], bare_etag(entry["ETag"]))

    async def unlisted(self, prefix: str) -> builtins.list[UnlistedFile]:
        """Nothing is told of a bucket: it has no links, and what `list` leaves out are mostly tools' folders."""
        check_prefix(prefix)
        return []

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> ObjectInfo:
        await put_stream(self._object(key), chunks)
        return await self._expect(key, None)

    async def delete(self, key: str) -> None:
        with s3_failures(self.name, key=key), suppress(ObjectNotFound):
            await self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    async def copy(self, source_key: str, key: str, *, if_match: str | None) -> None:
        source = await self._expect(source_key, if_match)
        if source.size_bytes <= self._copy_limit_bytes:
            await copy_object(self._object(source_key), self._object(key), if_match=source.etag)
        else:
            await copy_in_parts(
                self._object(source_key),
                self._object(key),
                size_bytes=source.size_bytes,
                part_bytes=self._copy_part_bytes,
                if_match=source.etag,
            )

    async def move(self, source_key: str, key: str) -> None:
        await self.copy(source_key, key, if_match=None)
        await self.delete(source_key)

    def parts(self, size_bytes: int) -> builtins.list[UploadPart]:
        return upload_parts(size_bytes)

    async def begin_upload(self, key: str, size_bytes: int) -> str:
        with s3_failures(self.name, key=key):
            answer = await self._client.create_multipart_upload(Bucket=self._bucket, Key=self._full(key))
        return answer["UploadId"]

    async def presign_part(self, key: str, upload_id: str, part: UploadPart, *, expires_seconds: int) -> str:
        # A signed length is one that the server enforces.
        parameters = {"UploadId": upload_id, "PartNumber": part.number, "ContentLength": part.size_bytes}
        return await self._presign("upload_part", key, parameters, expires_seconds)

    async def stored_parts(self, key: str, upload_id: str) -> builtins.list[StoredPart]:
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=self._full(key), UploadId=upload_id
        )
        with s3_failures(self.name, key=key, upload_id=upload_id):
            return [
                StoredPart(part["PartNumber"], part["Size"], bare_etag(part["ETag"]))
                async for page in pages
                for part in page.get("Parts", ())
            ]

    async def complete_upload(self, key: str, upload_id: str, size_bytes: int) -> ObjectInfo:
        try:
            await self._complete(key, upload_id, size_bytes)
        except UploadNotFound:
            info = await self.head(key)
            if info is None or info.size_bytes != size_bytes:
                raise
            return info
        return await self._expect(key, None)

    async def _complete(self, key: str, upload_id: str, size_bytes: int) -> None:
        planned = self.parts(size_bytes)
        stored = await self.stored_parts(key, upload_id)
        if missing := missing_parts(planned, stored):
            raise UploadIncomplete(missing)
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": part.number, "ETag": quoted_etag(part.etag)} for part in stored[: len(planned)]
        ]
        with s3_failures(self.name, key=key, upload_id=upload_id):
            await self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._full(key), UploadId=upload_id, MultipartUpload={"Parts": parts}
            )

    async def abort_upload(self, key: str, upload_id: str) -> None:
        with suppress(UploadNotFound), s3_failures(self.name, key=key, upload_id=upload_id):
            await self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._full(key), UploadId=upload_id)

    async def presign_get(self, key: str, *, expires_seconds: int, filename: str | None = None) -> str:
        parameters = {}
        if filename is not None:
            is_text = PurePosixPath(filename).suffix in TEXT_SUFFIXES
            kind = "inline" if is_text else "attachment"
            parameters["ResponseContentDisposition"] = f"{kind}; filename*=UTF-8''{quote(filename, safe='')}"
            if is_text:
                parameters["ResponseContentType"] = "text/plain; charset=utf-8"
        return await self._presign("get_object", key, parameters, expires_seconds)

    async def _presign(self, operation: str, key: str, parameters: Mapping[str, object], expires_seconds: int) -> str:
        check_expiry(expires_seconds)
        with s3_failures(self.name, key=key):
            return await self._public_client.generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": self._full(key), **parameters},
                ExpiresIn=expires_seconds,
            )

    async def _expect(self, key: str, if_match: str | None) -> ObjectInfo:
        info = await self.head(key)
        if info is None:
            raise ObjectNotFound(key)
        if if_match not in (None, info.etag):
            raise ObjectChanged(key)
        return info

    def _object(self, key: str) -> S3Object:
        return S3Object(self._client, self._bucket, self._full(key), partial(s3_failures, self.name, key=key))

    def _full(self, key: str) -> str:
        check_key(key)
        return self._prefix + key

    @property
    def _client(self) -> S3Client:
        return self._clients[0]

    @property
    def _public_client(self) -> S3Client:
        return self._clients[1]

    @property
    def _clients(self) -> tuple[S3Client, S3Client]:
        if self._opened is None:
            raise RuntimeError(f"The object store {self.name!r} is not open.")
        return self._opened
