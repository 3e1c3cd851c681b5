"""What S3 and the way to it can answer, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from artifacts.object_store import (
    InvalidKey,
    ObjectChanged,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    UploadNotFound,
)

UNAVAILABLE_CODES = frozenset({"NoSuchBucket", "PermanentRedirect", "RequestTimeout", "SlowDown"})
# Ceph's, MinIO's and those of other look-alikes; S3 itself is never full.
FULL_CODES = frozenset({"QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})
INSUFFICIENT_STORAGE = 507
DENIED_CODES = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})


@contextmanager
def s3_failures(store: str, *, key: str = "", upload_id: str = "") -> Iterator[None]:
    """Raises a StoreError for what the object, the upload or the store is at fault for; our own faults rise."""
    try:
        yield
    except ClientError as error:
        failure = _failure(error, store, key, upload_id)
        if failure is None:
            raise
        raise failure from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StoreDenied(store, "there are no credentials for it") from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:
        # The class alone: the text names addresses inside the installation.
        raise StoreUnavailable(store, type(error).__name__) from error


def _failure(error: ClientError, store: str, key: str, upload_id: str) -> StoreError | None:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "NoSuchUpload":
        return UploadNotFound(upload_id)
    if code == "KeyTooLongError":
        return InvalidKey(key, "it is too long for the store")
    if code in FULL_CODES or status == INSUFFICIENT_STORAGE:
        return StoreFull(store, code)
    if code in UNAVAILABLE_CODES or status >= 500:
        return StoreUnavailable(store, code)
    if code in DENIED_CODES or status in (401, 403):
        return StoreDenied(store, code)
    return {404: ObjectNotFound(key), 412: ObjectChanged(key)}.get(status)
