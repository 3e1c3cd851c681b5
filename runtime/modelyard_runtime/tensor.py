"""Tensors of the Open Inference Protocol: their datatypes, and their values as NumPy arrays, in JSON and as bytes."""

import importlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, cast

from modelyard_runtime.request_error import ErrorCode, RequestError

NUMPY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "BOOL": "bool",
        **{f"{kind.upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
        **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
        "BYTES": "object",
    }
)
DATATYPES: Mapping[str, str] = MappingProxyType({name: datatype for datatype, name in NUMPY_NAMES.items()})
# What JSON may hold for a datatype, as NumPy calls its kinds; nothing is rounded, and no text is taken for a number.
JSON_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}
TEXT_KINDS = "OSU"
LENGTH = struct.Struct("<I")


class DataType(Protocol):
    """What is used of a numpy.dtype."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def itemsize(self) -> int: ...


class Array(Protocol):
    """What is used of a numpy.ndarray."""

    @property
    def dtype(self) -> DataType: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int: ...

    @property
    def flat(self) -> Iterable[object]: ...

    def reshape(self, shape: Sequence[int], /) -> "Array": ...

    def ravel(self) -> "Array": ...

    def tolist(self) -> list[object]: ...

    def tobytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """A tensor that a model takes or gives; a length of -1 may vary."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def as_array(value: object) -> Array:
    return cast("Array", importlib.import_module("numpy").asarray(value))


def datatype_of(array: Array) -> str:
    """Raises RequestError for values that the protocol has no datatype for."""
    if array.dtype.kind in TEXT_KINDS:
        return "BYTES"
    datatype = DATATYPES.get(array.dtype.name)
    if datatype is None:
        message = f"The protocol has no datatype for {array.dtype.name} values."
        raise RequestError(ErrorCode.RESULT_NOT_SERIALIZABLE, message)
    return datatype


def read_json_values(name: str, datatype: str, shape: Sequence[int], data: object) -> Array:
    """`data` is nested as the shape says, or flat. Raises RequestError."""
    numpy = importlib.import_module("numpy")
    try:
        given = numpy.asarray(data, dtype="object" if datatype == "BYTES" else None)
        array = numpy.asarray(data, dtype=NUMPY_NAMES[datatype])
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"the data of the input {name!r} is no {datatype}: {error}") from error
    if datatype == "BYTES":
        is_fit = all(isinstance(item, str) for item in given.flat)
    else:
        is_fit = not given.size or given.dtype.kind in JSON_KINDS[array.dtype.kind]
    if not is_fit:
        raise invalid(f"the data of the input {name!r} is no {datatype}")
    return _shaped(name, array, shape)


def read_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Array:
    """`data` as the binary tensor data extension has it: row by row, little-endian. Raises RequestError."""
    numpy = importlib.import_module("numpy")
    if datatype == "BYTES":
        elements = list(_elements(name, data))
        array = numpy.empty(len(elements), dtype="object")
        array[:] = elements
        return _shaped(name, array, shape)
    wanted = numpy.dtype(NUMPY_NAMES[datatype]).newbyteorder("<")
    if len(data) % wanted.itemsize:
        raise invalid(f"the data of the input {name!r} has {len(data)} bytes, {datatype} takes {wanted.itemsize} each")
    return _shaped(name, numpy.frombuffer(data, dtype=wanted).astype(wanted.newbyteorder("=")), shape)


def json_values(array: Array) -> list[object]:
    """Flat, row by row."""
    values = array.ravel().tolist()
    return [_text(value) for value in values] if array.dtype.kind in TEXT_KINDS else values


def to_bytes(array: Array) -> bytes:
    """See `read_bytes`."""
    if array.dtype.kind not in TEXT_KINDS:
        numpy = importlib.import_module("numpy")
        little_endian: bytes = numpy.asarray(array, dtype=numpy.dtype(array.dtype).newbyteorder("<")).tobytes()
        return little_endian
    encoded = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel().tolist()]
    return b"".join(LENGTH.pack(len(value)) + value for value in encoded)


def invalid(message: str) -> RequestError:
    return RequestError(ErrorCode.INVALID_INPUT, message)


def _shaped(name: str, array: Array, shape: Sequence[int]) -> Array:
    if math.prod(shape) != array.size:
        raise invalid(f"the input {name!r} has {array.size} values, its shape {list(shape)} takes {math.prod(shape)}")
    return array.reshape(shape)


def _elements(name: str, data: bytes) -> Iterator[str | bytes]:
    """Text where it is UTF-8, which is what most models take."""
    place = 0
    while place < len(data):
        if place + LENGTH.size > len(data):
            raise invalid(f"the data of the input {name!r} ends within an element's length")
        (length,) = LENGTH.unpack_from(data, place)
        place += LENGTH.size
        if place + length > len(data):
            raise invalid(f"the data of the input {name!r} ends within an element")
        element = data[place : place + length]
        place += length
        try:
            yield element.decode()
        except UnicodeDecodeError:
            yield element


def _text(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
