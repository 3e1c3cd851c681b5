"""Bytes for the pickle scanner: windows of a file, decompressed or not, read forward and within a budget."""

import bz2
import lzma
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

CHUNK_BYTES = 256 * 1024
SCAN_SECONDS = 120.0
# The largest dictionary of xz's own presets, 64 MiB, and a little for the decoder itself.
_LZMA_MEMORY_BYTES = 68 * 1024**2


class Unreadable(Exception):
    """The content cannot be read to its end; the message says why."""


class BudgetSpent(Unreadable):
    """The content may well go on; it is not read further."""


@dataclass(slots=True)
class ScanBudget:
    """What one scan may spend, over everything that it finds inside the file; the `seconds` run from its making.

    `streams` are compressed ones: one of 20 bytes costs as much as a long one, and may hold nothing.
    """

    opcodes: int = 20_000_000
    read_bytes: int = 6 * 1024**3
    streams: int = 100_000
    decompressed_bytes: int = 2 * 1024**3
    kept_bytes: int = 256 * 1024**2
    seconds: float = SCAN_SECONDS
    _ends_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends_at = time.monotonic() + self.seconds

    def check_time(self) -> None:
        if time.monotonic() >= self._ends_at:
            raise BudgetSpent("it takes longer to read than there is time for")

    def spend_read(self, size_bytes: int) -> None:
        self.check_time()
        self.read_bytes -= size_bytes
        if self.read_bytes < 0:
            raise BudgetSpent("it holds more than is read")

    def spend_stream(self) -> None:
        self.check_time()
        self.streams -= 1
        if self.streams < 0:
            raise BudgetSpent("it is made of more compressed streams than are read")

    def spend_opcodes(self, count: int) -> None:
        self.check_time()
        self.opcodes -= count
        if self.opcodes < 0:
            raise BudgetSpent("it has more pickle opcodes than are read")

    def spend_decompressed(self, size_bytes: int) -> None:
        self.decompressed_bytes -= size_bytes
        if self.decompressed_bytes < 0:
            raise BudgetSpent("it unpacks to more than is read")

    def spend_kept(self, size_bytes: int) -> None:
        self.kept_bytes -= size_bytes
        if self.kept_bytes < 0:
            raise BudgetSpent("it holds more names than are read")


class Chunks(Protocol):
    """A forward stream. `skip` passes over up to `size` bytes and says how many there were."""

    def next_chunk(self) -> bytes: ...

    def skip(self, size: int) -> int: ...


class FileWindow:
    """The bytes of a seekable file from `start` up to `end`. Keeps its own place: windows may share a file."""

    def __init__(self, file: BinaryIO, start: int, end: int, budget: ScanBudget) -> None:
        self._file, self._at, self._end, self._budget = file, start, end, budget

    def next_chunk(self) -> bytes:
        size = max(0, min(CHUNK_BYTES, self._end - self._at))
        self._budget.spend_read(size)
        self._file.seek(self._at)
        chunk = self._file.read(size)
        self._at += len(chunk)
        return chunk

    def skip(self, size: int) -> int:
        skipped = max(0, min(size, self._end - self._at))
        self._at += skipped
        return skipped


class Decompressor(Protocol):
    """One compressed stream; bz2's and lzma's decompressors are such already."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class ZlibDecompressor:
    """zlib's decompressor with the manners of the others: it keeps what it was given and has not used."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


def gzip_decompressor() -> Decompressor:
    return ZlibDecompressor(16 + zlib.MAX_WBITS)


def zlib_decompressor() -> Decompressor:
    return ZlibDecompressor(zlib.MAX_WBITS)


def deflate_decompressor() -> Decompressor:
    return ZlibDecompressor(-zlib.MAX_WBITS)


def bzip2_decompressor() -> Decompressor:
    return bz2.BZ2Decompressor()


def lzma_decompressor() -> Decompressor:
    """Reads xz and the older lzma; refuses dictionaries that would not fit into memory."""
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY_BYTES)


class Decompressed:
    """What a compressed stream unpacks to; streams that follow each other count as one, as gzip and joblib have it."""

    def __init__(self, source: Chunks, start: Callable[[], Decompressor], budget: ScanBudget) -> None:
        self._source, self._start, self._budget = source, start, budget
        self._decompressor = start()
        self._pending = b""

    def next_chunk(self) -> bytes:
        while not self._pending:
            data = self._next_input()
            if data is None:
                return b""
            self._pending = self._decompress(data)
            self._budget.spend_decompressed(len(self._pending))
        chunk, self._pending = self._pending, b""
        return chunk

    def skip(self, size: int) -> int:
        left = size
        while left > 0:
            chunk = self.next_chunk()
            if not chunk:
                break
            self._pending = chunk[left:]
            left -= len(chunk) - len(self._pending)
        return size - left

    def _next_input(self) -> bytes | None:
        """What to feed next; None where everything has been read."""
        self._budget.check_time()
        if self._decompressor.eof:
            rest = self._decompressor.unused_data or self._source.next_chunk()
            if rest:
                self._budget.spend_stream()
                self._decompressor = self._start()
            return rest or None
        if not self._decompressor.needs_input:
            return b""
        data = self._source.next_chunk()
        if not data:
            raise Unreadable("its compressed data ends too early")
        return data

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._decompressor.decompress(data, CHUNK_BYTES)
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
            raise Unreadable("its compressed data is damaged") from error


class ByteSource:
    """Reads Chunks byte by byte, line by line and in runs. What is not there raises Unreadable."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        self._passed = 0

    @property
    def position(self) -> int:
        """How many bytes have been read or skipped."""
        return self._passed + self._at

    def _fill(self) -> bool:
        self._passed += self._at
        self._buffer, self._at = self._buffer[self._at :], 0
        chunk = self._chunks.next_chunk()
        self._buffer += chunk
        return bool(chunk)

    def peek(self, size: int) -> bytes:
        """Up to `size` bytes, fewer at the end; they stay to be read."""
        while len(self._buffer) - self._at < size and self._fill():
            pass
        return self._buffer[self._at : self._at + size]

    @property
    def is_at_end(self) -> bool:
        return not self.peek(1)

    def byte(self) -> int:
        if self._at == len(self._buffer) and not self._fill():
            raise Unreadable("it ends too early")
        value = self._buffer[self._at]
        self._at += 1
        return value

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes, which must fit into memory."""
        end = self._at + size
        data = self._buffer[self._at : end] if end <= len(self._buffer) else self.peek(size)
        if len(data) < size:
            raise Unreadable("it ends too early")
        self._at += size
        return data

    def skip(self, size: int) -> None:
        buffered = min(size, len(self._buffer) - self._at)
        self._at += buffered
        skipped = self._chunks.skip(size - buffered)
        self._passed += skipped
        if skipped < size - buffered:
            raise Unreadable("it ends too early")

    def line(self, keep: int) -> bytes | None:
        """The bytes up to the next newline, which is passed over; None for a line longer than `keep`."""
        kept = b""
        is_kept = True
        while True:
            end = self._buffer.find(b"\n", self._at)
            stop = len(self._buffer) if end < 0 else end
            is_kept = is_kept and len(kept) + stop - self._at <= keep
            kept = kept + self._buffer[self._at : stop] if is_kept else b""
            self._at = stop
            if end >= 0:
                self._at += 1
                return kept if is_kept else None
            if not self._fill():
                raise Unreadable("it ends too early")
