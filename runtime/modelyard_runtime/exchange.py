"""One request as the prediction sees it, and its answer."""

import json
from dataclasses import dataclass

from modelyard_runtime.api import Api
from modelyard_runtime.request_error import STATUSES, RequestError

JSON_CONTENT_TYPE = b"application/json"
MESSAGE_LENGTH_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Request:
    """`content_type` and `query_string` are as received, empty when absent."""

    api: Api
    content_type: str
    query_string: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def error_response(error: RequestError) -> Response:
    content = {"code": error.code, "message": error.message[:MESSAGE_LENGTH_LIMIT]}
    body = json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace")
    return Response(status=STATUSES[error.code], content_type=JSON_CONTENT_TYPE, body=body)
