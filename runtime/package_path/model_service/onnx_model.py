"""A graph of ONNX, run by ONNX Runtime on processors."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from model_service.graph_model import TensorSpecification
from model_service.model_service import InvalidInput
from model_service.thread_count import thread_count

NUMPY_TYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    "string": "object",
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}
# The kinds of values, as NumPy calls them, that become a type without loss; numbers may come as text, null is NaN.
ACCEPTED_KINDS = {"b": "b", "i": "iub", "u": "iub", "f": "fiubOUS"}
ERRORS_ONLY = 3


class Node(Protocol):
    """What is used of an input or output of a session."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def shape(self) -> Sequence[object]: ...


class Session(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def get_inputs(self) -> Sequence[Node]: ...

    def get_outputs(self) -> Sequence[Node]: ...

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, object]) -> Sequence[object]: ...


class OnnxModel:
    """Raises what ONNX Runtime raises for a file that it cannot load."""

    def __init__(self, path: str) -> None:
        library = importlib.import_module("onnxruntime")
        options = library.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = thread_count()
        options.inter_op_num_threads = 1
        self._session = cast("Session", library.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
        self._refusal: type[Exception] = importlib.import_module(
            "onnxruntime.capi.onnxruntime_pybind11_state"
        ).InvalidArgument
        self.inputs = tuple(_specification(node) for node in self._session.get_inputs())
        self.outputs = tuple(_specification(node) for node in self._session.get_outputs())
        self._output_names = [one.name for one in self.outputs]

    def run(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: _plain(result) for name, result in self.run_arrays(values).items()}

    def run_arrays(self, values: Mapping[str, object]) -> dict[str, object]:
        arrays = {one.name: _array(one, values[one.name]) for one in self.inputs}
        try:
            results = self._session.run(self._output_names, arrays)
        except self._refusal as error:
            raise InvalidInput(str(error)) from error
        return dict(zip(self._output_names, results, strict=True))


def _specification(node: Node) -> TensorSpecification:
    """A scalar's shape is empty, as is that of an input of unknown rank: neither is held to it."""
    shape = tuple(length if isinstance(length, int) else None for length in node.shape)
    return TensorSpecification(node.name, node.type.removeprefix("tensor(").removesuffix(")"), shape or None)


def _array(specification: TensorSpecification, value: object) -> object:
    numpy = importlib.import_module("numpy")
    name = NUMPY_TYPES.get(specification.type_name)
    if name is None:
        return value
    wanted = numpy.dtype(name)
    try:
        given, array = numpy.asarray(value), numpy.asarray(value, dtype=wanted)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"the input {specification} cannot be {_sample(value)}: {error}") from error
    is_text = wanted.kind == "O" and all(isinstance(item, str) for item in array.flat)
    if given.size and not is_text and given.dtype.kind not in ACCEPTED_KINDS.get(wanted.kind, ""):
        raise InvalidInput(f"the input {specification} cannot be {_sample(value)}")
    if not specification.accepts(array.shape):
        raise InvalidInput(f"the input {specification} was sent with the shape {list(array.shape)}")
    return array


def _sample(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _plain(result: object) -> object:
    return result.tolist() if hasattr(result, "tolist") else result
