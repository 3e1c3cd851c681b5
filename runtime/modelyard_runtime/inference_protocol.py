"""The Open Inference Protocol, version 2, over HTTP: what is answered below /v2, and how errors are told there."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from model_service.model_service import InvalidInput
from modelyard_runtime.exchange import JSON_CONTENT_TYPE, MESSAGE_LENGTH_LIMIT, Response
from modelyard_runtime.inference_request import RequestedOutput, read_inference_request
from modelyard_runtime.request_error import STATUSES, ErrorCode, RequestError
from modelyard_runtime.result import encode_json
from modelyard_runtime.tensor import Array, TensorMetadata, datatype_of, invalid, json_values, to_bytes
from modelyard_runtime.tensor_model import TensorModel

ROOT = "/v2"
NAME = "modelyard"
EXTENSIONS = ("binary_tensor_data",)
JSON_SIZE_HEADER = b"inference-header-content-length"
BINARY_CONTENT_TYPE = b"application/octet-stream"
logger = logging.getLogger("modelyard.instance")


@dataclass(frozen=True, slots=True)
class Question:
    """A path below /v2, read: `kind` is "server", "live", "ready", "model", "model_ready" or "infer"."""

    kind: str
    model_name: str | None = None
    model_version: str | None = None


def is_protocol_path(path: str) -> bool:
    return path == ROOT or path.startswith(f"{ROOT}/")


def read_question(path: str) -> Question:
    """Raises RequestError where the protocol has no such path."""
    match [part for part in path.split("/") if part]:
        case ["v2"]:
            return Question("server")
        case ["v2", "health", "live" | "ready" as kind]:
            return Question(kind)
        case ["v2", "models", name]:
            return Question("model", name)
        case ["v2", "models", name, "ready"]:
            return Question("model_ready", name)
        case ["v2", "models", name, "infer"]:
            return Question("infer", name)
        case ["v2", "models", name, "versions", version]:
            return Question("model", name, version)
        case ["v2", "models", name, "versions", version, "ready"]:
            return Question("model_ready", name, version)
        case ["v2", "models", name, "versions", version, "infer"]:
            return Question("infer", name, version)
    raise RequestError(ErrorCode.NOT_FOUND, f"the Open Inference Protocol has nothing at {path}")


def protocol_error(error: RequestError) -> Response:
    content = json.dumps({"error": error.message[:MESSAGE_LENGTH_LIMIT]}, ensure_ascii=False)
    return Response(STATUSES[error.code], JSON_CONTENT_TYPE, content.encode(errors="backslashreplace"))


class InferenceProtocol:
    """One model version behind the protocol; `model` is None where it is asked by its package's own APIs alone."""

    def __init__(self, model: TensorModel | None, *, model_name: str, model_version: str) -> None:
        self._model = model
        self._name = model_name
        self._version = model_version

    def check(self, path: str, method: str) -> Question:
        """What is asked. Raises RequestError where it cannot be, before a body is read."""
        self._tensor_model()
        question = read_question(path)
        wanted = "POST" if question.kind == "infer" else "GET"
        if method != wanted:
            raise RequestError(ErrorCode.METHOD_NOT_ALLOWED, f"{path} answers {wanted}, not {method}")
        if question.model_name not in (None, self._name):
            raise _not_found(f"there is no model {question.model_name!r} here, only {self._name!r}")
        if question.model_version not in (None, self._version):
            message = f"there is no version {question.model_version!r} here; the one that answers is {self._version!r}"
            raise _not_found(message)
        return question

    def describe(self, question: Question, *, is_ready: bool) -> Response:
        """The answer to a question that the model is not asked for."""
        match question.kind:
            case "live":
                return _json({"live": True})
            case "ready":
                return _json({"ready": is_ready}, 200 if is_ready else 503)
            case "model_ready":
                return _json({"name": self._name, "ready": is_ready}, 200 if is_ready else 503)
            case "server":
                return _json({"name": NAME, "version": "2", "extensions": EXTENSIONS})
        raise AssertionError(question.kind)

    def describe_model(self) -> Response:
        """What the model takes and gives. The first time it may be asked for a prediction to tell."""
        model = self._tensor_model()
        return _json(
            {
                "name": self._name,
                "versions": [self._version],
                "platform": model.platform,
                "inputs": [_described(tensor) for tensor in model.inputs],
                "outputs": [_described(tensor) for tensor in model.outputs],
            }
        )

    def infer(self, body: bytes, json_size_bytes: int | None) -> Response:
        """Raises nothing: what goes wrong is the answer."""
        try:
            return self._infer(body, json_size_bytes)
        except RequestError as error:
            return protocol_error(error)
        except InvalidInput as error:
            return protocol_error(RequestError(ErrorCode.INVALID_INPUT, str(error)))
        except BaseException as error:
            logger.exception("A prediction failed")
            message = f"the prediction failed: {type(error).__name__}: {error}"
            return protocol_error(RequestError(ErrorCode.PREDICTION_FAILED, message))

    def _infer(self, body: bytes, json_size_bytes: int | None) -> Response:
        model = self._tensor_model()
        request = read_inference_request(body, json_size_bytes)
        known = {tensor.name for tensor in model.outputs} if request.outputs else set()
        if unknown := [output.name for output in request.outputs if output.name not in known]:
            raise invalid(f"the model has no output {unknown[0]!r}; it has {', '.join(sorted(known))}")
        found = model.predict(request.tensors)
        outputs = request.outputs or tuple(RequestedOutput(name, request.is_binary) for name in found)
        named = {"model_name": self._name, "model_version": self._version}
        if request.id is not None:
            named["id"] = request.id
        return _answer(named, [(output, found[output.name]) for output in outputs])

    def _tensor_model(self) -> TensorModel:
        if self._model is None:
            raise _not_found("the model comes with code of its own: it is asked at the APIs that its package declares")
        return self._model


def _answer(named: Mapping[str, str], outputs: Iterable[tuple[RequestedOutput, Array]]) -> Response:
    described, binary = [], []
    for output, array in outputs:
        tensor = _described(TensorMetadata(output.name, datatype_of(array), array.shape))
        if output.is_binary:
            binary.append(to_bytes(array))
            described.append({**tensor, "parameters": {"binary_data_size": len(binary[-1])}})
        else:
            described.append({**tensor, "data": json_values(array)})
    content = encode_json({**named, "outputs": described})
    if not binary:
        return Response(200, JSON_CONTENT_TYPE, content)
    headers = ((JSON_SIZE_HEADER, b"%d" % len(content)),)
    return Response(200, BINARY_CONTENT_TYPE, b"".join([content, *binary]), headers)


def _described(tensor: TensorMetadata) -> dict[str, object]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _json(content: object, status: int = 200) -> Response:
    return Response(status, JSON_CONTENT_TYPE, encode_json(content))


def _not_found(message: str) -> RequestError:
    return RequestError(ErrorCode.NOT_FOUND, message)
