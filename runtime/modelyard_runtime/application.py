"""The instance's HTTP interface: a plain ASGI application, as a framework's routing costs more than many a model."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypedDict

from modelyard_runtime.api import Api, normal_path
from modelyard_runtime.exchange import JSON_CONTENT_TYPE, Request, Response, error_response
from modelyard_runtime.inference_protocol import (
    JSON_SIZE_HEADER,
    InferenceProtocol,
    is_protocol_path,
    protocol_error,
)
from modelyard_runtime.prediction import Predictor
from modelyard_runtime.prediction_threads import PredictionThreads
from modelyard_runtime.request_error import ClientGoneError, ErrorCode, RequestError

HEALTHY = Response(status=200, content_type=JSON_CONTENT_TYPE, body=b'{"health":"true"}')
UNHEALTHY = Response(status=503, content_type=JSON_CONTENT_TYPE, body=b'{"health":"false"}')


class Scope(TypedDict):
    """What is used of an ASGI HTTP scope."""

    type: str
    method: str
    path: str
    query_string: bytes
    headers: Iterable[tuple[bytes, bytes]]


class Message(TypedDict, total=False):
    """What is used of ASGI HTTP messages."""

    type: str
    body: bytes
    more_body: bool
    status: int
    headers: list[tuple[bytes, bytes]]


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """Answers `GET /health`, the declared paths, and the Open Inference Protocol where these leave /v2 to it."""

    def __init__(
        self,
        *,
        apis: Iterable[Api],
        predictor: Predictor,
        protocol: InferenceProtocol,
        threads: PredictionThreads,
        max_body_bytes: int,
        timeout_seconds: float,
    ) -> None:
        self._apis: Mapping[tuple[str, str], Api] = {(api.path, api.method): api for api in apis}
        self._paths = frozenset(api.path for api in apis)
        self._predictor = predictor
        self._protocol = protocol
        self._threads = threads
        self._max_body_bytes = max_body_bytes
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(scope, receive)
        except RequestError as error:
            response = error_response(error)
        except ClientGoneError:
            return
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(response.body)),
            *response.headers,
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"]
        if path == "/health" and scope["method"] == "GET":
            return UNHEALTHY if self._threads.are_stuck else HEALTHY
        if is_protocol_path(path) and normal_path(path) not in self._paths:
            return await self._respond_by_protocol(scope, receive)
        api = self._find_api(path, scope["method"])
        content_type, content_length = _content_headers(scope["headers"])
        self._check_size(content_length)
        request = Request(
            api=api,
            content_type=content_type,
            query_string=scope["query_string"],
            body=await self._read_body(receive),
        )
        return await self._threads.run(lambda: self._predictor.predict(request), receive)

    async def _respond_by_protocol(self, scope: Scope, receive: Receive) -> Response:
        try:
            question = self._protocol.check(scope["path"], scope["method"])
            if question.kind == "model":
                return await self._threads.run(self._protocol.describe_model, receive)
            if question.kind != "infer":
                return self._protocol.describe(question, is_ready=not self._threads.are_stuck)
            self._check_size(_content_headers(scope["headers"])[1])
            json_size_bytes = _json_size_bytes(dict(scope["headers"]))
            body = await self._read_body(receive)
            return await self._threads.run(lambda: self._protocol.infer(body, json_size_bytes), receive)
        except RequestError as error:
            return protocol_error(error)

    def _find_api(self, path: str, method: str) -> Api:
        api = self._apis.get((path, method)) or self._apis.get((normal_path(path), method))
        if api is not None:
            return api
        if normal_path(path) in self._paths:
            raise RequestError(ErrorCode.METHOD_NOT_ALLOWED, f"{path} does not answer {method}.")
        known = ", ".join(sorted(f"{method} {path}" for path, method in self._apis))
        raise RequestError(ErrorCode.NOT_FOUND, f"The model declares no API at {path}; it has {known}.")

    async def _read_body(self, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body = message.get("body", b"")
            self._check_size(len(body))
            return body
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._read_rest(message, receive)
        except TimeoutError as error:
            raise RequestError(ErrorCode.BODY_TIMED_OUT, "The body did not arrive in time.") from error

    async def _read_rest(self, message: Message, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            if message["type"] != "http.request":
                raise ClientGoneError
            body += message.get("body", b"")
            self._check_size(len(body))
            if not message.get("more_body"):
                return bytes(body)
            message = await receive()

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_body_bytes:
            message = f"The body is larger than the limit of {self._max_body_bytes} bytes."
            raise RequestError(ErrorCode.BODY_TOO_LARGE, message)


def _content_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, int]:
    content_type, content_length = "", 0
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            content_length = int(value)
    return content_type, content_length


def _json_size_bytes(headers: Mapping[bytes, bytes]) -> int | None:
    """Where the JSON ends and the tensors' bytes begin; None where there is nothing but JSON."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        message = "a compressed request is not understood: send it without Content-Encoding"
        raise RequestError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, message)
    given = headers.get(JSON_SIZE_HEADER)
    if given is not None and not given.isdigit():
        raise RequestError(ErrorCode.INVALID_INPUT, "Inference-Header-Content-Length is no number of bytes")
    return None if given is None else int(given)
