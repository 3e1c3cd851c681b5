"""A SavedModel of TensorFlow, asked through one of its signatures."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from model_service.graph_model import TensorSpecification
from model_service.model_service import InvalidInput
from model_service.thread_count import thread_count

MESSAGE_END = "\n\t"


class Shape(Protocol):
    """What is used of tensorflow.TensorShape."""

    @property
    def rank(self) -> int | None: ...

    def as_list(self) -> Sequence[int | None]: ...


class DataType(Protocol):
    """What is used of tensorflow.DType."""

    @property
    def name(self) -> str: ...


class Tensor(Protocol):
    """What is used of tensorflow.Tensor and tensorflow.TensorSpec."""

    @property
    def shape(self) -> Shape: ...

    @property
    def dtype(self) -> DataType: ...

    def numpy(self) -> object: ...


class Signature(Protocol):
    """What is used of a signature of a loaded SavedModel."""

    @property
    def structured_input_signature(self) -> tuple[object, Mapping[str, Tensor]]: ...

    @property
    def structured_outputs(self) -> Mapping[str, Tensor]: ...

    def __call__(self, **inputs: Tensor) -> Mapping[str, Tensor]: ...


def quieten() -> None:
    """Tells TensorFlow, before anything imports it, to log warnings only and to use the instance's processors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(thread_count()))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


class SavedModel:
    """Raises what TensorFlow raises for a folder that it cannot load, and ValueError where it lacks the signature."""

    def __init__(self, directory: str, signature_name: str) -> None:
        quieten()
        self._tensorflow = importlib.import_module("tensorflow")
        # The functions of what is loaded live only as long as that.
        self._loaded = self._tensorflow.saved_model.load(directory)
        self._signature = _choose(self._loaded.signatures, signature_name)
        self._types = {name: one.dtype for name, one in self._signature.structured_input_signature[1].items()}
        named = self._signature.structured_input_signature[1].items()
        self.inputs = tuple(_specification(name, one) for name, one in named)
        self.outputs = tuple(_specification(name, one) for name, one in self._signature.structured_outputs.items())

    def run(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: _plain(array) for name, array in self.run_arrays(values).items()}

    def run_arrays(self, values: Mapping[str, object]) -> dict[str, object]:
        tensors = {one.name: self._tensor(one, values[one.name]) for one in self.inputs}
        try:
            outputs = self._signature(**tensors)
        except self._tensorflow.errors.InvalidArgumentError as error:
            raise InvalidInput(_summary(str(error.message))) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def _tensor(self, specification: TensorSpecification, value: object) -> Tensor:
        dtype = self._types[specification.name]
        try:
            tensor = cast("Tensor", self._tensorflow.constant(value, dtype=dtype))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"the input {specification} cannot be that: {error}") from error
        shape = [length or 0 for length in tensor.shape.as_list()]
        if not specification.accepts(shape):
            raise InvalidInput(f"the input {specification} was sent with the shape {shape}")
        return tensor


def _choose(signatures: Mapping[str, Signature], name: str) -> Signature:
    """The one asked for; the only one, whatever its name."""
    if name in signatures:
        return signatures[name]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    known = ", ".join(signatures) or "none"
    raise ValueError(f"the SavedModel has no signature {name!r}; it has {known}")


def _specification(name: str, tensor: Tensor) -> TensorSpecification:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return TensorSpecification(name, tensor.dtype.name, shape)


def _summary(message: str) -> str:
    """TensorFlow's reason without the places in the graph."""
    lines = [line.strip() for line in message.partition(MESSAGE_END)[0].splitlines() if line.strip()]
    return lines[-1] if lines else "the model does not take these values"


def _plain(array: object) -> object:
    return array.tolist() if hasattr(array, "tolist") else array
