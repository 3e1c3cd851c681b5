"""An inference request of the Open Inference Protocol: JSON, or JSON with the tensors' bytes behind it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from modelyard_runtime.request_error import ErrorCode, RequestError
from modelyard_runtime.tensor import NUMPY_NAMES, Array, invalid, read_bytes, read_json_values

REFUSED_PARAMETERS = ("classification", "shared_memory_region", "sequence_id")


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    name: str
    is_binary: bool


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """`outputs` is empty where all are asked for, in the form that `is_binary` says."""

    id: str | None
    tensors: Mapping[str, Array]
    outputs: tuple[RequestedOutput, ...]
    is_binary: bool


def read_inference_request(body: bytes, json_size_bytes: int | None) -> InferenceRequest:
    """`json_size_bytes` is what Inference-Header-Content-Length says; None where all is JSON. Raises RequestError."""
    if json_size_bytes is not None and json_size_bytes > len(body):
        raise invalid(f"Inference-Header-Content-Length names {json_size_bytes} bytes, the body has {len(body)}")
    content = _read_json(body if json_size_bytes is None else body[:json_size_bytes])
    rest = _Rest(b"" if json_size_bytes is None else body[json_size_bytes:])
    tensors: dict[str, Array] = {}
    for given in _objects(content, "inputs"):
        name, array = _read_input(given, rest)
        if name in tensors:
            raise invalid(f"the input {name!r} is given twice")
        tensors[name] = array
    if rest.size:
        raise invalid(f"{rest.size} bytes are left after the last tensor")
    request_id = content.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise invalid('"id" must be text')
    is_binary = _parameters(content).get("binary_data_output") is True
    outputs = tuple(_read_output(given, is_binary=is_binary) for given in _objects(content, "outputs"))
    return InferenceRequest(request_id, tensors, outputs, is_binary)


class _Rest:
    """The bytes behind the JSON, taken tensor by tensor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def size(self) -> int:
        return len(self._data) - self._place

    def take(self, name: str, size: object) -> bytes:
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= self.size:
            raise invalid(f"the input {name!r} names {size!r} bytes of data, {self.size} are left")
        self._place += size
        return self._data[self._place - size : self._place]


def _read_json(text: bytes) -> Mapping[str, object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(ErrorCode.INVALID_JSON, f"the request is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise invalid('the request must be an object with "inputs"')
    return content


def _objects(content: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    found = content.get(key)
    if found is None and key == "outputs":
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise invalid(f'"{key}" must be an array of objects')
    return found


def _read_input(given: Mapping[str, object], rest: _Rest) -> tuple[str, Array]:
    name, datatype, shape = _name(given), given.get("datatype"), given.get("shape")
    if not isinstance(datatype, str) or datatype not in NUMPY_NAMES:
        raise invalid(f"the input {name!r} has the datatype {datatype!r}, not one of {', '.join(NUMPY_NAMES)}")
    if not isinstance(shape, list) or not all(isinstance(length, int) and length >= 0 for length in shape):
        raise invalid(f"the input {name!r} needs a shape, an array of lengths")
    parameters = _parameters(given)
    if "binary_data_size" in parameters:
        return name, read_bytes(name, datatype, shape, rest.take(name, parameters["binary_data_size"]))
    if "data" not in given:
        raise invalid(f"the input {name!r} has no data")
    return name, read_json_values(name, datatype, shape, given["data"])


def _read_output(given: Mapping[str, object], *, is_binary: bool) -> RequestedOutput:
    return RequestedOutput(_name(given), _parameters(given).get("binary_data", is_binary) is True)


def _name(given: Mapping[str, object]) -> str:
    name = given.get("name")
    if not isinstance(name, str):
        raise invalid("every input and output needs a name")
    return name


def _parameters(given: Mapping[str, object]) -> Mapping[str, object]:
    parameters = given.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise invalid('"parameters" must be an object')
    if refused := [name for name in REFUSED_PARAMETERS if parameters.get(name)]:
        raise invalid(f"the parameter {refused[0]!r} is not supported")
    return parameters
