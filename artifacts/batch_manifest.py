"""Manifests of batch services: JSON lines, each of which names an input."""

import json
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass

from artifacts.object_store import is_key

LINE_LIMIT_BYTES = 16 * 1024
SCHEMES = ("obs://", "s3://")


@dataclass(frozen=True, slots=True)
class Source:
    """An input as a manifest names it. `bucket` is None for a key of the manifest's own store."""

    written: str
    bucket: str | None
    key: str


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """Counts from 1; either `source`, or the sentence that says what is wrong."""

    number: int
    source: Source | None
    fault: str | None = None


async def read_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[ManifestLine, None]:
    """The lines that are not blank. One that is too long is the last."""
    number, rest = 0, b""
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            number += 1
            if line.strip():
                yield _read_line(number, line)
        if len(rest) > LINE_LIMIT_BYTES:
            yield _read_line(number + 1, rest)
            return
    if rest.strip():
        yield _read_line(number + 1, rest)


def _read_line(number: int, line: bytes) -> ManifestLine:
    try:
        return ManifestLine(number, _read_source(line))
    except _LineRefused as refused:
        return ManifestLine(number, None, str(refused))


class _LineRefused(ValueError):
    pass


def _read_source(line: bytes) -> Source:
    if len(line) > LINE_LIMIT_BYTES:
        raise _LineRefused(f"A line has at most {LINE_LIMIT_BYTES} bytes.")
    try:
        document = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _LineRefused('The line is no JSON object such as {"source": "obs://bucket/folder/file.png"}.') from error
    written = document.get("source") if isinstance(document, dict) else None
    if not isinstance(written, str):
        raise _LineRefused('The line has no "source" that is a text.')
    return _source(written)


def _source(written: str) -> Source:
    scheme = next((scheme for scheme in SCHEMES if written.startswith(scheme)), None)
    if scheme is None and "://" in written:
        raise _LineRefused(f"{written[:200]!r} is not read: a source is a key, obs://bucket/key or s3://bucket/key.")
    bucket, key = None, written.removeprefix("/")
    if scheme is not None:
        bucket, _, key = written.removeprefix(scheme).partition("/")
    if key.endswith("/") or not key:
        raise _LineRefused(f"{written[:200]!r} is a folder; each file has a line of its own.")
    if not is_key(key):
        raise _LineRefused(f"{written[:200]!r} cannot name an object.")
    return Source(written, bucket, key)
