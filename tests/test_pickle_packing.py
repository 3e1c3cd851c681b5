"""The scanner finds pickles in all their packings, within bounds."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike
from sklearn.preprocessing import StandardScaler

from artifacts.pickle_reader import Evidence, PickleReader
from artifacts.pickle_scan import FileScan, ScanState, is_pickle_bearing, scan_file
from artifacts.scan_source import (
    BudgetSpent,
    ByteSource,
    Decompressed,
    Decompressor,
    FileWindow,
    ScanBudget,
    bzip2_decompressor,
    gzip_decompressor,
    zlib_decompressor,
)
from tests.pickles import (
    FEATURES,
    Own,
    RunsCode,
    call,
    dumped,
    saved,
    scan,
    state,
    state_dict,
    text,
    torch_archive,
    zipped,
)

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
SAMPLES = [
    dumped({"a": FEATURES, "b": numpy.array([None])}),
    dumped(FEATURES, compress=3),
    torch_archive(state_dict()),
    pickle.dumps(StandardScaler().fit(FEATURES), protocol=0),
    pickle.dumps(StandardScaler().fit(FEATURES)),
    saved(numpy.zeros(3)),
    zipped({"a/data.pkl": pickle.dumps([1] * 99)}, zipfile.ZIP_DEFLATED),
]


def unpacked(data: bytes, start: Callable[[], Decompressor], budget: ScanBudget) -> Decompressed:
    return Decompressed(FileWindow(io.BytesIO(data), 0, len(data), budget), start, budget)


class TestPackings:
    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
    def test_compressed_pickles(self, compress: Callable[[bytes], bytes]) -> None:
        assert state(compress(pickle.dumps(RunsCode()))) is ScanState.SUSPICIOUS
        assert state(compress(pickle.dumps(1))) is ScanState.CLEAN
        assert state(compress(pickle.dumps(1))[:-3]) is ScanState.NOT_SCANNED

    def test_streams_one_behind_the_other(self) -> None:
        both = gzip.compress(pickle.dumps(1)) + gzip.compress(pickle.dumps(RunsCode()))
        assert state(both) is ScanState.SUSPICIOUS

    @pytest.mark.parametrize("name", ["checkpoint.pth.tar", "checkpoint.pth", "checkpoint"])
    def test_a_tar_archive_is_not_called_clean(self, name: str) -> None:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            member = tarfile.TarInfo("pickle")
            member.size = len(pickle.dumps(RunsCode()))
            archive.addfile(member, io.BytesIO(pickle.dumps(RunsCode())))
        for data in (file.getvalue(), gzip.compress(file.getvalue())):
            assert is_pickle_bearing(name, data[:512])
            assert scan(data, name).state is ScanState.NOT_SCANNED

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_what_is_compressed_is_looked_at_whatever_its_name(self, compress: Callable[[bytes], bytes]) -> None:
        data = compress(pickle.dumps(RunsCode()))
        assert is_pickle_bearing("weights", data[:512])
        assert scan(data, "weights").state is ScanState.SUSPICIOUS

    def test_compressed_text_holds_no_pickle(self) -> None:
        data = gzip.compress(b"a,b,c\n1,2,3\n")
        assert is_pickle_bearing("train.csv.gz", data)
        assert scan(data, "train.csv.gz") == FileScan(ScanState.CLEAN, (), "no pickle")

    def test_a_compressed_pickle_under_a_compressed_name(self) -> None:
        assert state(gzip.compress(call("os", "system")), "model.pkl.gz") is ScanState.SUSPICIOUS

    def test_a_bomb_is_not_unpacked_to_its_end(self) -> None:
        data = zlib.compress(bytes(1 << 24))
        with pytest.raises(BudgetSpent, match="unpacks to more"):
            unpacked(data, zlib_decompressor, ScanBudget(decompressed_bytes=1 << 20)).skip(1 << 24)

    @pytest.mark.parametrize(
        ("compress", "start"), [(gzip.compress, gzip_decompressor), (bz2.compress, bzip2_decompressor)]
    )
    def test_streams_that_hold_nothing_are_not_read_without_end(
        self, compress: Callable[[bytes], bytes], start: Callable[[], Decompressor]
    ) -> None:
        data = compress(b"") * 500
        assert unpacked(data, start, ScanBudget(streams=499)).next_chunk() == b""
        with pytest.raises(BudgetSpent, match="compressed streams"):
            unpacked(data, start, ScanBudget(streams=400)).next_chunk()
        with pytest.raises(BudgetSpent, match="time"):
            unpacked(data, start, ScanBudget(seconds=0)).next_chunk()

    @pytest.mark.parametrize(
        "magic", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]
    )
    def test_packings_that_are_not_read(self, magic: bytes) -> None:
        assert state(magic + bytes(40)) is ScanState.NOT_SCANNED

    def test_packed_twice(self) -> None:
        assert state(gzip.compress(gzip.compress(pickle.dumps(1)))) is ScanState.NOT_SCANNED
        assert state(gzip.compress(zipped({"data.pkl": pickle.dumps(1)}))) is ScanState.NOT_SCANNED
        assert state(zipped({"inner.zip": zipped({"data.pkl": pickle.dumps(1)})})) is ScanState.NOT_SCANNED


class TestTorch:
    def test_a_state_dict_is_clean(self) -> None:
        assert scan(torch_archive(state_dict()), "model.pth") == FileScan(ScanState.CLEAN, (), None)

    def test_a_whole_module_is_unknown(self) -> None:
        found = scan(torch_archive(b"\x80\x02cnet\nNet\n)\x81}b."), "model.pth")
        assert found == FileScan(ScanState.UNKNOWN, ("net.Net",), "it imports net.Net")

    def test_harmful_ones_are_suspicious_wherever_they_lie(self) -> None:
        bad = call("os", "system")
        assert state(torch_archive(bad), "model.pth") is ScanState.SUSPICIOUS
        assert state(torch_archive(state_dict(b"X\x01\x00\x00\x00b" + bad[:-1])), "model.pt") is ScanState.SUSPICIOUS
        hidden = {"archive/extra.bin": pickle.dumps(RunsCode())}
        assert state(torch_archive(state_dict(), **hidden), "model.pth") is ScanState.SUSPICIOUS

    def test_a_wrong_checksum_hides_nothing(self) -> None:
        data = torch_archive(call("os", "system"))
        checksum = zlib.crc32(call("os", "system")).to_bytes(4, "little")
        assert data.count(checksum) == 2
        assert state(data.replace(checksum, b"\0\0\0\0"), "model.pth") is ScanState.SUSPICIOUS

    def test_a_flag_for_encryption_hides_nothing(self) -> None:
        data = bytearray(zipped({"archive/data.pkl": call("os", "system")}))
        data[data.index(b"PK\x03\x04") + 6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        assert state(bytes(data), "model.pth") is ScanState.SUSPICIOUS

    def test_a_name_in_the_header_that_differs_hides_nothing(self) -> None:
        data = zipped({"archive/data.pkl": call("os", "system")}).replace(b"archive/data.pkl", b"archive/data.txt", 1)
        assert state(data, "model.pth") is ScanState.SUSPICIOUS

    def test_only_its_own_pickle_makes_bytes_a_tensor_of_the_archive(self) -> None:
        members = {"a/data.pkl": state_dict(), "a/data/0": b"\x80\x04garbage that is no pickle"}
        assert state(zipped(members), "model.pth") is ScanState.CLEAN
        assert state(zipped({**members, "b/data/0": pickle.dumps(RunsCode())}), "model.pth") is ScanState.SUSPICIOUS

    def test_deflated_members_are_read_and_others_not(self) -> None:
        members = {"archive/data.pkl": call("os", "system")}
        assert state(zipped(members, zipfile.ZIP_DEFLATED), "model.pth") is ScanState.SUSPICIOUS
        assert state(zipped(members, zipfile.ZIP_LZMA), "model.pth") is ScanState.NOT_SCANNED

    def test_an_archive_with_something_in_front_or_behind(self) -> None:
        data = zipped({"archive/data.pkl": state_dict()})
        assert state(b"PK\x03\x04" + data, "model.pth") is ScanState.NOT_SCANNED
        assert state(data[:-2] + b"\x02\x00ab", "model.pth") is ScanState.NOT_SCANNED
        assert state(data[: len(data) // 2], "model.pth") is ScanState.NOT_SCANNED

    def test_the_format_before_zip(self) -> None:
        heads = [pickle.dumps(value, protocol=2) for value in (TORCH_MAGIC, 1001, {"little_endian": True})]
        tail = pickle.dumps(["0"], protocol=2) + b"\x04\0\0\0\0\0\0\0" + bytes(16)
        assert state(b"".join(heads) + state_dict() + tail, "model.pth") is ScanState.CLEAN
        assert state(b"".join(heads) + call("os", "system") + tail, "model.pth") is ScanState.SUSPICIOUS


class TestNumpyFiles:
    @pytest.mark.parametrize("dtype", ["f8", ">U3", "M8[s]", "f8,i4", [("a", "f4", (2,)), ("b", "S3")]])
    def test_plain_arrays_hold_no_pickle(self, dtype: DTypeLike) -> None:
        data = saved(numpy.zeros((2, 3), dtype=dtype))
        assert scan(data, "a.npy") == FileScan(ScanState.CLEAN, (), "no pickle")

    def test_arrays_of_objects_are_pickles(self) -> None:
        assert scan(saved(numpy.array([1, "a"], dtype=object)), "a.npy") == FileScan(ScanState.CLEAN, (), None)
        assert state(saved(numpy.array([RunsCode()], dtype=object)), "a.npy") is ScanState.SUSPICIOUS
        assert state(saved(numpy.array([Own()], dtype=object)), "weights") is ScanState.UNKNOWN

    def test_a_header_in_other_words_is_not_believed(self) -> None:
        data = saved(numpy.array([RunsCode()], dtype=object)).replace(b"'|O'", b"'\x7cO'", 1)
        assert state(data.replace(b"'|O', ", b"'obj''ect',", 1), "a.npy") is not ScanState.CLEAN

    def test_archives_of_arrays(self) -> None:
        for save in (numpy.savez, numpy.savez_compressed):
            buffer = io.BytesIO()
            save(buffer, plain=FEATURES, bad=numpy.array([RunsCode()], dtype=object))
            assert state(buffer.getvalue(), "a.npz") is ScanState.SUSPICIOUS
            buffer = io.BytesIO()
            save(buffer, plain=FEATURES, objects=numpy.array([1, None], dtype=object))
            assert state(buffer.getvalue(), "a.npz") is ScanState.CLEAN


class TestBounds:
    @pytest.mark.parametrize("budget", [ScanBudget(opcodes=1000), ScanBudget(kept_bytes=1000)])
    def test_opcodes_and_names_without_end_are_not_read_to_theirs(self, budget: ScanBudget) -> None:
        data = b"\x80\x04" + b"".join(text(f"name{number}") + b"\x940" for number in range(1000)) + b"N."
        source = ByteSource(FileWindow(io.BytesIO(data), 0, len(data), budget))
        with pytest.raises(BudgetSpent):
            PickleReader(source, budget, Evidence(), reads_inline_arrays=False).read()

    def test_a_length_that_nobody_could_hold_is_passed_over(self) -> None:
        for opcode in (b"\x8e", b"\x96", b"\x8d"):
            assert state(b"\x80\x05" + opcode + b"\xff" * 7 + b"\x7f.") is ScanState.NOT_SCANNED

    def test_an_lzma_dictionary_that_nobody_could_hold_is_refused(self) -> None:
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 128 << 20}]
        header = lzma.compress(pickle.dumps(1), format=lzma.FORMAT_XZ, filters=filters)
        assert state(header) is ScanState.NOT_SCANNED

    def test_the_largest_dictionary_that_xz_offers_is_read(self) -> None:
        assert state(lzma.compress(pickle.dumps(RunsCode()), preset=9)) is ScanState.SUSPICIOUS

    @pytest.mark.parametrize("data", [pickle.dumps(1), gzip.compress(b"") * 9, zipped({"a.pkl": pickle.dumps(1)})])
    def test_a_scan_that_runs_out_of_time_says_so(self, data: bytes) -> None:
        found = scan_file("model.pkl", io.BytesIO(data), len(data), seconds=0)
        assert found == FileScan(ScanState.NOT_SCANNED, (), "it takes longer to read than there is time for")

    def test_a_line_without_end_is_not_read_to_its_end(self) -> None:
        window = FileWindow(io.BytesIO(b"x" * (1 << 20)), 0, 1 << 20, ScanBudget(read_bytes=1 << 19))
        with pytest.raises(BudgetSpent, match="more than is read"):
            ByteSource(window).line(100)

    def test_an_archive_of_very_many_folders_is_counted_before_it_is_compared(self) -> None:
        began_at = time.monotonic()
        data = zipped({f"{number:05}/data.pkl": b"" for number in range(30_000)})
        found = scan(data, "model.pth")
        assert found.reason == "it is a zip archive of more files than are read"
        assert time.monotonic() - began_at < 30

    def test_deep_nesting_is_no_matter(self) -> None:
        assert state(b"\x80\x04" + b"(" * 50_000 + b"t" * 50_000 + b".") is ScanState.CLEAN

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_no_bytes_raise(self, data: bytes) -> None:
        for path in ("model.pkl", "weights.bin", "a.npy", "a.npz", "m.pkl.gz"):
            scan(data, path)

    @settings(deadline=None)
    @given(st.data())
    def test_no_damage_raises(self, data: st.DataObject) -> None:
        whole = data.draw(st.sampled_from(SAMPLES))
        place = data.draw(st.integers(0, len(whole) - 1))
        scan(whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + data.draw(st.integers(0, 4)) :])
