"""Why a request was not answered with a prediction."""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType


class ErrorCode(StrEnum):
    """The `code` of an error answer; `docs/packages.md` lists them for callers."""

    INVALID_JSON = "INVALID_JSON"
    INVALID_FORM = "INVALID_FORM"
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    BODY_TIMED_OUT = "BODY_TIMED_OUT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    PREDICTION_FAILED = "PREDICTION_FAILED"
    RESULT_NOT_SERIALIZABLE = "RESULT_NOT_SERIALIZABLE"
    INSTANCE_BUSY = "INSTANCE_BUSY"
    PREDICTION_TIMED_OUT = "PREDICTION_TIMED_OUT"


STATUSES: Mapping[ErrorCode, HTTPStatus] = MappingProxyType(
    {
        ErrorCode.INVALID_JSON: HTTPStatus.BAD_REQUEST,
        ErrorCode.INVALID_FORM: HTTPStatus.BAD_REQUEST,
        ErrorCode.INVALID_INPUT: HTTPStatus.BAD_REQUEST,
        ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
        ErrorCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
        ErrorCode.BODY_TIMED_OUT: HTTPStatus.REQUEST_TIMEOUT,
        ErrorCode.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ErrorCode.PREDICTION_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
        ErrorCode.RESULT_NOT_SERIALIZABLE: HTTPStatus.INTERNAL_SERVER_ERROR,
        ErrorCode.INSTANCE_BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
        ErrorCode.PREDICTION_TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class RequestError(Exception):
    """A request that gets an error answer: its code and one sentence for the caller."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClientGoneError(Exception):
    """The caller closed the connection: nobody waits for an answer."""
