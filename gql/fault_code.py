"""The codes of top-level errors: what went wrong with a request, as `extensions.code` says it."""

from __future__ import annotations

from enum import StrEnum


class FaultCode(StrEnum):
    """Codes of errors beside `data`. Those of a mutation's `errors` are the schema's own ErrorCode."""

    BAD_REQUEST = "BAD_REQUEST"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    OPERATION_TIMEOUT = "OPERATION_TIMEOUT"
    OPERATION_TOO_LARGE = "OPERATION_TOO_LARGE"
    OVERLOADED = "OVERLOADED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    WORKSPACE_REFUSED = "WORKSPACE_REFUSED"
