"""Whether a model file would run code when it is loaded. Reads pickles, and never unpickles anything."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import PurePosixPath
from typing import BinaryIO

from artifacts.numpy_file import NPY_MAGIC, pass_header
from artifacts.pickle_reader import Evidence, PickleReader
from artifacts.pickle_symbol import GlobalName
from artifacts.pickle_verdict import NameVerdict, judge
from artifacts.scan_source import (
    SCAN_SECONDS,
    BudgetSpent,
    ByteSource,
    Decompressed,
    Decompressor,
    FileWindow,
    ScanBudget,
    Unreadable,
    bzip2_decompressor,
    gzip_decompressor,
    lzma_decompressor,
    zlib_decompressor,
)
from artifacts.zip_archive import ZipMember, open_member, read_members

HEAD_BYTES = 512
_NAMES_SHOWN = 100
_PICKLE_SUFFIXES = frozenset({
    ".pkl", ".pickle", ".pck", ".pk", ".p", ".m", ".joblib", ".jbl", ".sav", ".dill", ".cloudpickle", ".pth", ".pt",
})  # fmt: skip
_MAYBE_SUFFIXES = frozenset({".bin", ".ckpt", ".npy", ".npz", ".dat", ".model"})
_COMPRESSED_SUFFIXES = frozenset({".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4", ".zst", ".7z", ".zip", ".rar"})
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_CLOSED_MAGICS = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"ZF0x")
_DECOMPRESSORS: tuple[tuple[bytes, Callable[[], Decompressor]], ...] = (
    (b"\x1f\x8b", gzip_decompressor),
    (b"BZh", bzip2_decompressor),
    (b"\xfd7zXZ\x00", lzma_decompressor),
    (b"\x5d\x00\x00", lzma_decompressor),
    (b"\x78", zlib_decompressor),
)
_PACKED_MAGICS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", *_CLOSED_MAGICS)
# Where a tar archive says that it is one; PyTorch's oldest files are such.
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_BOOSTER_MAGICS = (b"{", b"binf")
_HIGHEST_PROTOCOL = 5
# torch.save before its zip format: five pickles, the first of them a number, then the tensors' bytes.
_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_TORCH_PICKLES = 5
_TORCH_PICKLE = "data.pkl"
_ENTRIES_LIMIT = 100_000
_MEMBERS_LIMIT = 10_000
_TORCH_STORAGE = re.compile(r"(.*)(?:data|tensors|constants|xl_model_weights)/\d+", re.DOTALL)


class ScanState(StrEnum):
    """UNKNOWN names something not listed as harmless; NOT_SCANNED could not be read to its end."""

    CLEAN = "CLEAN"
    UNKNOWN = "UNKNOWN"
    SUSPICIOUS = "SUSPICIOUS"
    NOT_SCANNED = "NOT_SCANNED"


@dataclass(frozen=True, slots=True)
class FileScan:
    """`globals` are the names that decided, at most 100; `reason` is a clause such as "it ends too early"."""

    state: ScanState
    globals: tuple[str, ...]
    reason: str | None


def is_pickle_bearing(path: str, head: bytes) -> bool:
    """Whether the file is worth a scan, by its name or by its first bytes (512 are enough)."""
    suffix = PurePosixPath(path.lower()).suffix
    if suffix in _PICKLE_SUFFIXES | _MAYBE_SUFFIXES | _COMPRESSED_SUFFIXES:
        return True
    if head.startswith(_PACKED_MAGICS) or _is_tar(head):
        return True
    return _is_marked_pickle(head) or (suffix != ".whl" and head.startswith((NPY_MAGIC, *_ZIP_MAGICS)))


def scan_file(path: str, file: BinaryIO, size_bytes: int, *, seconds: float = SCAN_SECONDS) -> FileScan:
    """Reads a seekable file within a budget of time and memory; raises only what the file itself raises. Blocks.

    A file is CLEAN where everything that an unpickler would import is on the list of harmless names, or where there is
    no pickle in it. It says nothing about what the harmless code does with hostile data.
    """
    scan = _Scan(file, size_bytes, ScanBudget(seconds=seconds))
    scan.read(path)
    return _conclude(scan.evidence)


def _conclude(evidence: Evidence) -> FileScan:
    verdicts = {name: judge(name) for name in evidence.names}
    harmful = _names(verdicts, NameVerdict.HARMFUL)
    unknown = _names(verdicts, NameVerdict.UNKNOWN)
    if harmful or evidence.suspicions:
        return FileScan(ScanState.SUSPICIOUS, harmful, _reason(evidence.suspicions, "it imports", harmful))
    if evidence.gaps:
        return FileScan(ScanState.NOT_SCANNED, unknown, _reason(evidence.gaps, "", ()))
    if unknown or evidence.doubts:
        return FileScan(ScanState.UNKNOWN, unknown, _reason(evidence.doubts, "it imports", unknown))
    return FileScan(ScanState.CLEAN, (), None if evidence.is_pickle else "no pickle")


def _names(verdicts: dict[GlobalName, NameVerdict], wanted: NameVerdict) -> tuple[str, ...]:
    return tuple(sorted({str(name) for name, verdict in verdicts.items() if verdict is wanted})[:_NAMES_SHOWN])


def _reason(clauses: dict[str, None], verb: str, names: tuple[str, ...]) -> str:
    named = [f"{verb} {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"] if names else []
    return "; ".join([*named, *list(clauses)[:5]])


def _is_marked_pickle(head: bytes) -> bool:
    """From protocol 2 on a pickle begins with its protocol."""
    return len(head) > 1 and head[0] == 0x80 and head[1] <= _HIGHEST_PROTOCOL


def _is_tar(head: bytes) -> bool:
    return head[_TAR_MARK_AT : _TAR_MARK_AT + len(_TAR_MARK)] == _TAR_MARK


def _decompressor(head: bytes) -> Callable[[], Decompressor] | None:
    return next((start for magic, start in _DECOMPRESSORS if head.startswith(magic)), None)


def _stem(path: str) -> str:
    """The name without what says that it is compressed: `model.pkl.gz` holds `model.pkl`."""
    name = PurePosixPath(path.lower())
    return name.stem if name.suffix in _COMPRESSED_SUFFIXES else name.name


class _Scan:
    """One file, and what lies in it. Every way of reading the file is followed; the evidence is of all of them."""

    def __init__(self, file: BinaryIO, size_bytes: int, budget: ScanBudget) -> None:
        self.file, self.size_bytes = file, size_bytes
        self.budget, self.evidence = budget, Evidence()

    def read(self, path: str) -> None:
        with self._gaps():
            head = self._open().peek(HEAD_BYTES)
            start = _decompressor(head)
            if head.startswith(_ZIP_MAGICS):
                self._read_zip()
            elif start is not None:
                self._read_content(lambda: self._unpack(start), _stem(path))
            else:
                self._read_content(self._open, _stem(path))

    @contextmanager
    def _gaps(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            self.evidence.gaps[str(error)] = None

    def _open(self) -> ByteSource:
        return ByteSource(self._window())

    def _window(self) -> FileWindow:
        return FileWindow(self.file, 0, self.size_bytes, self.budget)

    def _unpack(self, start: Callable[[], Decompressor]) -> ByteSource:
        return ByteSource(Decompressed(self._window(), start, self.budget))

    def _read_zip(self) -> None:
        members = list(islice(read_members(self.file), _ENTRIES_LIMIT + 1))
        if len(members) > _ENTRIES_LIMIT:
            raise Unreadable("it is a zip archive of more files than are read")
        names = (member.name for member in members)
        folders = frozenset(name.removesuffix(_TORCH_PICKLE) for name in names if name.endswith(_TORCH_PICKLE))
        worth = [member for member in members if not _is_torch_storage(member.name, folders)]
        if len(worth) > _MEMBERS_LIMIT:
            raise Unreadable("it is a zip archive of more files than are read")
        for member in worth:
            with self._gaps():
                self._read_member(member)

    def _read_member(self, member: ZipMember) -> None:
        def open_it() -> ByteSource:
            return open_member(self.file, member, self.budget)

        if is_pickle_bearing(member.name, open_it().peek(HEAD_BYTES)):
            self._read_content(open_it, member.name)

    def _read_content(self, open_it: Callable[[], ByteSource], name: str) -> None:
        """What is left when the outermost packing is off: an array, or pickles, or neither."""
        source = open_it()
        head = source.peek(HEAD_BYTES)
        if head.startswith((*_CLOSED_MAGICS, *_ZIP_MAGICS)) or _is_tar(head) or _decompressor(head) is not None:
            raise Unreadable("it is packed in a way that is not read")
        if head.startswith(NPY_MAGIC):
            self._read_array(source)
            return
        is_expected = _is_marked_pickle(head) or PurePosixPath(name.lower()).suffix in _PICKLE_SUFFIXES
        self._read_pickles(source, is_expected=is_expected and not head.startswith(_BOOSTER_MAGICS))
        if self.evidence.has_inline_arrays:
            self._read_plainly(open_it())

    def _read_array(self, source: ByteSource) -> None:
        if not pass_header(source):
            PickleReader(source, self.budget, self.evidence, reads_inline_arrays=False).read()
            self.evidence.is_pickle = True

    def _read_pickles(self, source: ByteSource, *, is_expected: bool) -> None:
        """Pickles one behind the other. Where none was expected, what is no pickle from the start is left alone."""
        pickles_left = _TORCH_PICKLES if source.peek(len(_TORCH_MAGIC)) == _TORCH_MAGIC else -1
        try:
            while pickles_left and not source.is_at_end:
                PickleReader(source, self.budget, self.evidence, reads_inline_arrays=True).read()
                self.evidence.is_pickle = True
                pickles_left -= 1
        except BudgetSpent:
            raise
        except Unreadable as error:
            if self.evidence.is_pickle:
                raise Unreadable("something that is no pickle follows its end") from error
            if is_expected or self.evidence.names:
                raise
        if is_expected and not self.evidence.is_pickle:
            raise Unreadable("it is empty")

    def _read_plainly(self, source: ByteSource) -> None:
        """As an unpickler that is not joblib's would: it takes the bytes of an array for opcodes, and soon fails.

        What it would have imported until then counts. But the pickle of an array of objects, read in the wrong place,
        spells names that nobody meant: beside one, only harmful names count.
        """
        seen = Evidence()
        try:
            PickleReader(source, self.budget, seen, reads_inline_arrays=False).read()
        except BudgetSpent:
            raise
        except Unreadable:
            pass
        for name in seen.names:
            if not self.evidence.has_object_arrays or judge(name) is NameVerdict.HARMFUL:
                self.evidence.add_name(name)


def _is_torch_storage(name: str, folders: frozenset[str]) -> bool:
    """A tensor's bytes in an archive of torch.save: read as they are, never unpickled."""
    storage = _TORCH_STORAGE.fullmatch(name)
    return storage is not None and storage[1] in folders
