"""The members of a zip archive, as the libraries that load models see them."""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from artifacts.scan_source import (
    ByteSource,
    Decompressed,
    FileWindow,
    ScanBudget,
    Unreadable,
    deflate_decompressor,
)

_DIRECTORY_LIMIT_BYTES = 8 * 1024**2
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One entry of the central directory. Checksum and flags are left out: torch does not look at them either."""

    name: str
    header_offset: int
    stored_bytes: int
    compression: int


class _BoundedFile:
    """The part of a file that zipfile needs; a directory that would not fit into memory is not read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if size > _DIRECTORY_LIMIT_BYTES:
            raise Unreadable("its directory is larger than what is read")
        return self._file.read(size)


def read_members(file: BinaryIO) -> Iterator[ZipMember]:
    """Raises Unreadable for an archive that one library could read otherwise than another."""
    try:
        with zipfile.ZipFile(_BoundedFile(file)) as archive:
            comment, entries = archive.comment, archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error) as error:
        raise Unreadable("its zip directory is damaged") from error
    if comment or min((entry.header_offset for entry in entries), default=0) != 0:
        raise Unreadable("it is a zip archive with something in front or behind")
    for entry in entries:
        if not entry.is_dir():
            yield ZipMember(entry.filename, entry.header_offset, entry.compress_size, entry.compress_type)


def open_member(file: BinaryIO, member: ZipMember, budget: ScanBudget) -> ByteSource:
    """The member's content. Raises Unreadable for what is compressed otherwise than with deflate."""
    budget.check_time()
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        raise Unreadable("its zip directory is damaged")
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    if signature != _LOCAL_SIGNATURE:
        raise Unreadable("its zip directory is damaged")
    start = member.header_offset + len(header) + name_length + extra_length
    window = FileWindow(file, start, start + member.stored_bytes, budget)
    if member.compression == zipfile.ZIP_STORED:
        return ByteSource(window)
    if member.compression == zipfile.ZIP_DEFLATED:
        return ByteSource(Decompressed(window, deflate_decompressor, budget))
    raise Unreadable("it is compressed in a way that is not read")
