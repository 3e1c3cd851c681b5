"""What an object store is: the port, its data and its errors.

StoreError
├── ObjectNotFound      no such object
├── ObjectChanged       the object is not the one the caller saw (its ETag differs)
├── InvalidKey          not a name an object may have
├── UploadNotFound      no such upload: never begun, aborted, or expired
├── UploadIncomplete    parts are missing or have another size
├── UploadBusy          another request is writing the same part
├── PartSizeWrong       a part was sent with more or fewer bytes than it has
├── StoreDenied         the store refuses our credentials
├── StoreFull           the store has no room, or its quota is used up
└── StoreUnavailable    the store cannot be reached or fails
"""

from __future__ import annotations

import builtins
import io
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

CHUNK_BYTES = 4 << 20
PART_BYTES = 32 << 20
MAX_PARTS = 1000
MAX_SIGNED_SECONDS = 7 * 24 * 3600
MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255
UNLISTED_LIMIT = 100
# What a browser may show instead of saving it, as plain text.
TEXT_SUFFIXES = frozenset({".py", ".json", ".txt"})


class StoreError(Exception):
    """Something an object store refused or could not do."""


class ObjectNotFound(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"There is no object {key!r}.")
        self.key = key


class ObjectChanged(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(f"The object {key!r} has changed.")
        self.key = key


class InvalidKey(StoreError):
    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key!r} cannot name an object: {reason}.")
        self.key = key
        self.reason = reason


class UploadNotFound(StoreError):
    def __init__(self, upload_id: str) -> None:
        super().__init__(f"There is no upload {upload_id!r}: it was aborted, or has expired.")
        self.upload_id = upload_id


class UploadIncomplete(StoreError):
    def __init__(self, missing: Sequence[int]) -> None:
        super().__init__(f"Parts of the upload are missing or have another size: {', '.join(map(str, missing))}.")
        self.missing = list(missing)


class UploadBusy(StoreError):
    def __init__(self, upload_id: str) -> None:
        super().__init__(f"Another request is writing to the upload {upload_id!r}.")
        self.upload_id = upload_id


class PartSizeWrong(StoreError):
    def __init__(self, size_bytes: int, *, sent_bytes: int) -> None:
        super().__init__(f"The part has exactly {size_bytes} bytes.")
        self.is_too_large = sent_bytes > size_bytes


class StoreDenied(StoreError):
    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"The object store {store!r} denies access: {reason}.")
        self.store = store
        self.reason = reason


class StoreFull(StoreError):
    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"The object store {store!r} is full: {reason}.")
        self.store = store
        self.reason = reason


class StoreUnavailable(StoreError):
    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"The object store {store!r} is not available: {reason}.")
        self.store = store
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """`etag` is opaque: it tells two states of an object apart and is never a digest of its bytes."""

    key: str
    size_bytes: int
    modified_at: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class UnlistedFile:
    """What `list` leaves out; `reason` continues a sentence that begins with the path, which may hold any character."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part that a client is to send; numbers start at 1."""

    number: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that has arrived."""

    number: int
    size_bytes: int
    etag: str


class ObjectStore(Protocol):
    """A folder or an S3 bucket.

    Every method may raise StoreUnavailable and StoreDenied, InvalidKey where it takes a key, StoreFull where it writes.
    """

    @property
    def name(self) -> str: ...

    @property
    def copies_server_side(self) -> bool:
        """Whether `copy` moves no bytes through this process."""

    @property
    def bucket(self) -> tuple[str, str] | None:
        """The bucket, and the prefix (empty or with a slash at its end) below which all keys are; None for a folder."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def check(self) -> None:
        """Cheap and within seconds: raises StoreUnavailable, also where access is denied."""

    async def head(self, key: str) -> ObjectInfo | None: ...

    def read(
        self, key: str, *, start_bytes: int = 0, end_bytes: int | None = None, if_match: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yields the bytes from `start_bytes` up to but not including `end_bytes`, at most CHUNK_BYTES at a time.

        Raises ObjectNotFound, and ObjectChanged where the object's ETag is not `if_match`.
        To be closed (`aclosing`) by whoever leaves early.
        """

    async def open_seekable(self, key: str) -> io.BufferedIOBase:
        """Opens the object for reading in a worker thread; not to be read on the event loop. Raises ObjectNotFound."""

    def list(self, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """Yields every object whose key starts with `prefix`, sorted by key, but for keys that `check_key` refuses."""

    async def unlisted(self, prefix: str) -> builtins.list[UnlistedFile]:
        """What lies under the prefix and is never listed: the first UNLISTED_LIMIT of it."""

    async def put(self, key: str, chunks: AsyncIterable[bytes]) -> ObjectInfo:
        """Stores all of the bytes or, where anything fails, none of them."""

    async def delete(self, key: str) -> None:
        """Deletes the object; does nothing where there is none."""

    async def copy(self, source_key: str, key: str, *, if_match: str | None) -> None:
        """Raises ObjectNotFound, and ObjectChanged where the source's ETag is not `if_match`."""

    async def move(self, source_key: str, key: str) -> None:
        """Raises ObjectNotFound. Idempotent only as a whole: after a crash the object may be found under both keys."""

    def parts(self, size_bytes: int) -> builtins.list[UploadPart]:
        """The parts in which a client is to upload `size_bytes`."""

    async def begin_upload(self, key: str, size_bytes: int) -> str:
        """Returns the upload's id."""

    async def presign_part(self, key: str, upload_id: str, part: UploadPart, *, expires_seconds: int) -> str:
        """A URL to which a client PUTs the part's bytes, exactly as many as `part.size_bytes`."""

    async def stored_parts(self, key: str, upload_id: str) -> builtins.list[StoredPart]:
        """The parts that have arrived, by number. Raises UploadNotFound."""

    async def complete_upload(self, key: str, upload_id: str, size_bytes: int) -> ObjectInfo:
        """Makes the parts one object; completing again answers the same.

        Raises UploadIncomplete, UploadBusy and UploadNotFound.
        """

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Drops what has arrived; does nothing where there is no such upload."""

    async def presign_get(self, key: str, *, expires_seconds: int, filename: str | None = None) -> str:
        """A URL that answers the object's bytes, called `filename`; a browser shows what that says is a text."""


def check_key(key: str) -> None:
    """Raises InvalidKey unless every store can hold the key and no store could be led outside by it."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError as error:
        raise InvalidKey(key, "it is not Unicode text") from error
    if not 0 < len(encoded) <= MAX_KEY_BYTES:
        raise InvalidKey(key, f"it must have 1 to {MAX_KEY_BYTES} bytes")
    if any(byte < 0x20 or byte == 0x7F for byte in encoded):
        raise InvalidKey(key, "it holds a control character")
    for segment in encoded.split(b"/"):
        _check_segment(key, segment)


def _check_segment(key: str, segment: bytes) -> None:
    if segment in (b"", b".", b".."):
        raise InvalidKey(key, "a segment of it is empty, '.' or '..'")
    if len(segment) > MAX_SEGMENT_BYTES:
        raise InvalidKey(key, f"a segment of it is longer than {MAX_SEGMENT_BYTES} bytes")


def is_key(key: str) -> bool:
    """Whether `check_key` accepts it."""
    try:
        check_key(key)
    except InvalidKey:
        return False
    return True


def check_prefix(prefix: str) -> None:
    """Raises InvalidKey unless the prefix is empty, a key, or a key and a slash."""
    if prefix:
        check_key(prefix.removesuffix("/"))


def check_expiry(expires_seconds: int) -> None:
    """Raises ValueError for a life that S3 would not sign (at most seven days)."""
    if not 0 < expires_seconds <= MAX_SIGNED_SECONDS:
        raise ValueError(f"A signed URL lives 1 to {MAX_SIGNED_SECONDS} seconds, not {expires_seconds}.")


def upload_parts(size_bytes: int) -> list[UploadPart]:
    """Parts of 32 MiB, more where that would make over 1,000 of them; one empty part for an empty object."""
    if size_bytes < 0:
        raise ValueError(f"A size cannot be {size_bytes}.")
    mebibyte = 1 << 20
    part_bytes = max(PART_BYTES, -(-size_bytes // (MAX_PARTS * mebibyte)) * mebibyte)
    offsets = range(0, size_bytes, part_bytes) or range(1)
    return [
        UploadPart(number, offset, min(part_bytes, size_bytes - offset))
        for number, offset in enumerate(offsets, start=1)
    ]


def missing_parts(planned: Sequence[UploadPart], stored: Sequence[StoredPart]) -> list[int]:
    """The numbers of planned parts that have not arrived with their size."""
    sizes = {part.number: part.size_bytes for part in stored}
    return [part.number for part in planned if sizes.get(part.number) != part.size_bytes]
