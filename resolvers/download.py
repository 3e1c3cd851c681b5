"""Addresses by which files of an imported version can be opened."""

from artifacts.blob import blob_key
from resolvers.installation import Installation

EXPIRES_SECONDS = 3_600


async def file_url(installation: Installation, path: str, sha256: str) -> str:
    """A signed address of the stored copy of a file, good for an hour. `sha256` is its digest in hexadecimal."""
    filename = path.rpartition("/")[2]
    return await installation.blobs.store.presign_get(
        blob_key(sha256), expires_seconds=EXPIRES_SECONDS, filename=filename
    )
