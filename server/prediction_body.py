"""A prediction's body on its way to an instance: whole where it is short, else in parts."""

from __future__ import annotations

from collections.abc import AsyncIterator

BUFFERED_BYTES = 1 << 20
PART_BYTES = 1 << 16

Body = bytes | AsyncIterator[bytes]


async def in_parts(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PART_BYTES):
        yield body[start : start + PART_BYTES]
