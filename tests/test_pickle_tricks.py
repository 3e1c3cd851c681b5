"""Ways around scanners, published and other, and what this one makes of them."""

import os
import pickle
from functools import partial

import numpy
import pytest

from artifacts.pickle_scan import FileScan, ScanState, is_pickle_bearing
from tests.pickles import FEATURES, RunsCode, call, dumped, scan, state, text, zipped


class TestTricks:
    def test_names_out_of_the_memo(self) -> None:
        data = (
            b"\x80\x04"
            + text("os")
            + b"\x94"
            + text("system")
            + b"\x94"
            + b"0"
            + b"0h\x00h\x01\x93"
            + text("id")
            + b"\x85R."
        )
        assert scan(data).globals == ("os.system",)

    def test_names_overwritten_in_the_memo(self) -> None:
        data = (
            b"\x80\x04" + text("collections") + b"q\x05" + text("os") + b"q\x05" + b"h\x05" + text("system") + b"\x93."
        )
        assert scan(data).globals == ("os.system",)

    def test_names_in_texts_of_other_kinds(self) -> None:
        for module in (
            b"X\x02\x00\x00\x00os",
            b"\x8d\x02\x00\x00\x00\x00\x00\x00\x00os",
            b"U\x02os",
            b"V\\u006fs\n",
            b"S'os'\n",
        ):
            assert state(b"\x80\x04" + module + text("system") + b"\x93.") is ScanState.SUSPICIOUS, module

    @pytest.mark.parametrize(
        "operand", [b"K\x01", b"N", b"}", b"S'o\\x73'\n", b"ccollections\nOrderedDict\n)R", text("a b")]
    )
    def test_a_name_that_is_not_spelt_out(self, operand: bytes) -> None:
        assert state(b"\x80\x04" + operand + text("system") + b"\x93.") is ScanState.SUSPICIOUS
        assert state(b"\x80\x04" + text("os") + operand + b"\x93.") is ScanState.SUSPICIOUS

    @pytest.mark.parametrize(
        "name", ["os.system", "os.path.os.system", "testing.os.popen", "ndarray.__class__.__base__"]
    )
    def test_a_dotted_name_through_a_harmless_module(self, name: str) -> None:
        assert state(b"\x80\x04" + text("numpy") + text(name) + b"\x93.") is ScanState.SUSPICIOUS

    @pytest.mark.parametrize("name", ["testing._private.utils.runstring", "lib.npyio.load", "ctypeslib.load_library"])
    def test_a_harmful_module_written_as_an_attribute(self, name: str) -> None:
        assert state(b"\x80\x04" + text("numpy") + text(name) + b"\x93.") is ScanState.SUSPICIOUS

    def test_getattr_is_judged_by_what_it_gets(self) -> None:
        getattr_of = b"cbuiltins\ngetattr\n("
        assert scan(b"\x80\x03" + getattr_of + b"cnumpy\nload\nX\x04\x00\x00\x00boldtR.").state is ScanState.SUSPICIOUS
        assert state(b"\x80\x03" + getattr_of + b"cmine\nThing\nX\x06\x00\x00\x00methodtR.") is ScanState.UNKNOWN
        assert state(b"\x80\x03" + getattr_of + b"cmine\nThing\n)RX\x06\x00\x00\x00methodtR.") is ScanState.UNKNOWN
        dunder = b"cnumpy\nndarray\nX\x09\x00\x00\x00__class__tR."
        assert state(b"\x80\x03" + getattr_of + dunder) is ScanState.SUSPICIOUS

    def test_a_chain_of_getattr(self) -> None:
        inner = b"cbuiltins\ngetattr\n(cnumpy\nndarray\nX\x05\x00\x00\x00shapetR"
        data = b"\x80\x03cbuiltins\ngetattr\n(" + inner + b"X\x0b\x00\x00\x00__globals__tR."
        assert state(data) is ScanState.SUSPICIOUS

    @pytest.mark.parametrize("rest", [b".", b"0K\x01.", b"\x85.", b"(cbuiltins\ngetattr\nt.", b"2\x86."])
    def test_getattr_that_is_handed_on(self, rest: bytes) -> None:
        assert state(b"\x80\x03cbuiltins\ngetattr\n" + rest) is ScanState.SUSPICIOUS

    def test_getattr_of_something_computed(self) -> None:
        assert state(b"\x80\x03cbuiltins\ngetattr\n(]X\x06\x00\x00\x00appendtR.") is ScanState.SUSPICIOUS

    def test_numpy_looking_up_a_function_for_the_pickle(self) -> None:
        arguments = b"(X\x02\x00\x00\x00osX\x06\x00\x00\x00systemtR."
        assert scan(b"\x80\x03cnumpy.core\n_ufunc_reconstruct\n" + arguments).globals == ("os.system",)
        assert state(pickle.dumps(numpy.log1p)) is ScanState.CLEAN

    def test_inst_and_obj(self) -> None:
        assert state(b"(S'id'\nios\nsystem\n.") is ScanState.SUSPICIOUS
        assert state(b"(cos\nsystem\nS'id'\no.") is ScanState.SUSPICIOUS

    def test_newobj_and_build(self) -> None:
        assert state(b"\x80\x02csubprocess\nPopen\n)\x81.") is ScanState.SUSPICIOUS
        assert state(b"\x80\x02ccollections\nOrderedDict\n}b.") is ScanState.UNKNOWN

    @pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
    def test_the_extension_registry(self, opcode: bytes) -> None:
        assert state(b"\x80\x02" + opcode + b".") is ScanState.UNKNOWN

    def test_calling_what_was_computed(self) -> None:
        assert state(b"\x80\x02ccollections\nOrderedDict\n)R)R.") is ScanState.UNKNOWN

    @pytest.mark.parametrize("first", [pickle.dumps(1), pickle.dumps({}, protocol=0), dumped(FEATURES)])
    def test_a_second_pickle_behind_the_first(self, first: bytes) -> None:
        assert state(first + pickle.dumps(RunsCode())) is ScanState.SUSPICIOUS
        assert state(first + pickle.dumps(2)) is ScanState.CLEAN

    def test_bytes_behind_the_end(self) -> None:
        found = scan(pickle.dumps(1) + b"\xff\xff")
        assert found == FileScan(ScanState.NOT_SCANNED, (), "something that is no pickle follows its end")

    def test_an_archive_behind_the_end(self) -> None:
        assert state(pickle.dumps(1) + zipped({"a.pkl": pickle.dumps(RunsCode())})) is not ScanState.CLEAN

    def test_partial_of_something_harmful(self) -> None:
        assert state(pickle.dumps(partial(os.system, "id"))) is ScanState.SUSPICIOUS

    def test_a_pickle_without_a_suffix_that_says_so(self) -> None:
        data = pickle.dumps(RunsCode())
        assert is_pickle_bearing("labels.txt", data[:64])
        assert state(data, "labels.txt") is ScanState.SUSPICIOUS

    def test_an_object_array_inside_a_joblib_file(self) -> None:
        array = numpy.array([RunsCode(), None], dtype=object)
        assert state(dumped({"array": array})) is ScanState.SUSPICIOUS
        assert state(dumped({"array": array}, compress=3)) is ScanState.SUSPICIOUS

    def test_opcodes_hidden_in_the_bytes_of_an_array(self) -> None:
        """pickle.load takes for opcodes what joblib.load takes for an array."""
        payload = b"0" + call("os", "system")
        array = numpy.frombuffer(payload, dtype="u1")
        hidden = dumped(array, compress=0).replace(b"numpy_array_alignment_bytes", b"numpy_array_alignment_b_t_s")
        start = hidden.index(payload)
        padding = hidden[hidden.rindex(b"b", 0, start) + 1 : start]
        hidden = hidden.replace(padding + payload, payload)
        assert state(hidden) is ScanState.SUSPICIOUS

    def test_an_array_of_another_size_than_it_says(self) -> None:
        lying = dumped(numpy.zeros(4)).replace(b"K\x04\x85", b"K\x05\x85")
        assert state(lying) is ScanState.NOT_SCANNED

    def test_an_array_wrapper_that_an_unpickler_would_be_handed(self) -> None:
        data = b"\x80\x02csklearn.neighbors._kd_tree\nnewObj\ncjoblib.numpy_pickle\nNumpyArrayWrapper\n\x85R."
        assert state(data) is ScanState.NOT_SCANNED

    @pytest.mark.parametrize(
        "data",
        [b"R.", b"\x80\x06.", b"h\x00.", b"1.", b"t.", b"0.", b"\x94.", b"\x8b\xff\xff\xff\xff.", b"p-1\n.", b"gx\n."],
    )
    def test_what_no_unpickler_would_follow(self, data: bytes) -> None:
        assert state(b"\x80\x04" + data) is ScanState.NOT_SCANNED

    def test_frames_that_unpicklers_read_differently(self) -> None:
        """CPython's drops what is left of a frame where a line begins in it; joblib's reads arrays from behind it."""
        frame = b"\x95\x05\0\0\0\0\0\0\0"
        assert state(b"\x80\x04" + frame + b"c__builtin__\nset\n.") is ScanState.NOT_SCANNED
        assert state(b"\x80\x04" + frame + frame + b".") is ScanState.NOT_SCANNED
        assert state(b"\x80\x04" + frame + b"N." + b"N0N.") is ScanState.NOT_SCANNED
        assert state(b"\x80\x04" + frame + b"N0N0N.") is ScanState.CLEAN

    def test_a_harmless_name_cut_at_another_place(self) -> None:
        """What the reader would not know for joblib's wrapper must not pass for it."""
        data = b"\x80\x04" + text("joblib") + text("numpy_pickle.NumpyArrayWrapper") + b"\x93)\x81}b."
        assert state(data) is ScanState.UNKNOWN

    def test_an_array_wrapper_built_a_second_time(self) -> None:
        """An attribute of its state may stand in for `append`, so that the wrapper is on the stack again."""
        state_of = b"}(" + text("append") + b"cbuiltins\nlist\n" + text("shape") + b"K\x00\x85" + text("dtype")
        state_of += b"cnumpy\ndtype\n" + text("u1") + b"\x89\x88\x87Ru"
        wrapper = b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81q\x00" + state_of + b"b"
        again = (
            b"h\x00Naq\x01}" + text("shape") + b"K\x05\x85sb" + b"N0N0." + b"0cos\nsystem\n" + text("id") + b"\x85R."
        )
        assert state(wrapper + again) is ScanState.SUSPICIOUS
