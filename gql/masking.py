"""What a client is told of an error: a mistake of its own in full, with a code; a fault of ours not at all."""

from __future__ import annotations

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import StrawberryInputCoercionError

from db.reading import DatabaseAway, ReadingOverload, ReadingTimeout
from gql.fault_code import FaultCode

MASKED_MESSAGE = "Internal server error."
TIMEOUT_MESSAGE = "The operation took too long and was stopped."
OVERLOADED_MESSAGE = "Others keep the database busy: nothing was read. Send it again in a moment."
AWAY_MESSAGE = "The database cannot be reached at this moment: nothing was read. Send it again in a moment."

log = structlog.get_logger(__name__)


def client_error(error: GraphQLError, caller_faults: tuple[type[Exception], ...] = ()) -> GraphQLError:
    """The error as the client sees it, always with `extensions.code`.

    Told in full are syntax, validation and coercion errors, GraphQLErrors that were raised with a code, and
    exceptions of the types in `caller_faults`, which have a `code`. Anything else is logged and masked.
    """
    cause = _root_cause(error)
    trouble = _trouble(error, cause)
    if trouble is not None:
        log.warning("operation_stopped", code=trouble[0], path=error.path, reason=str(cause) or type(cause).__name__)
        return _coded(error, *trouble)
    code = _caller_fault_code(error, cause, caller_faults)
    if code is not None:
        return _coded(error, code, error.message)
    log.error("operation_failed", path=error.path, exc_info=cause)
    return _coded(error, FaultCode.INTERNAL_SERVER_ERROR, MASKED_MESSAGE)


def client_errors(errors: list[GraphQLError], caller_faults: tuple[type[Exception], ...] = ()) -> list[GraphQLError]:
    """`client_error` of each."""
    return [client_error(error, caller_faults) for error in errors]


def _trouble(error: GraphQLError, cause: Exception) -> tuple[FaultCode, str] | None:
    """What is nobody's mistake and may go well another time."""
    if isinstance(cause, ReadingOverload):
        return FaultCode.OVERLOADED, OVERLOADED_MESSAGE
    if isinstance(cause, DatabaseAway):
        return FaultCode.DATABASE_UNAVAILABLE, AWAY_MESSAGE
    if isinstance(cause, ReadingTimeout) or (isinstance(cause, TimeoutError) and error.path is None):
        return FaultCode.OPERATION_TIMEOUT, TIMEOUT_MESSAGE
    return None


def _caller_fault_code(error: GraphQLError, cause: Exception, caller_faults: tuple[type[Exception], ...]) -> str | None:
    if isinstance(cause, caller_faults):
        return str(getattr(cause, "code", FaultCode.BAD_USER_INPUT))
    if isinstance(cause, GraphQLSyntaxError):
        return FaultCode.GRAPHQL_PARSE_FAILED
    if isinstance(cause, GraphQLError) and "code" in (error.extensions or {}):
        return str((error.extensions or {})["code"])
    return FaultCode.BAD_USER_INPUT if _is_coercion_error(error, cause) else None


def _is_coercion_error(error: GraphQLError, cause: Exception) -> bool:
    """Before execution a value of the caller's has a node in the document, whatever its scalar raised.

    During execution a refused argument has one, while a scalar that refuses a value of ours raises without.
    """
    if isinstance(cause, StrawberryInputCoercionError):
        return True
    if error.path is None:
        return bool(error.nodes) or isinstance(cause, GraphQLError)
    return isinstance(cause, GraphQLError) and bool(cause.nodes)


def _root_cause(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _coded(error: GraphQLError, code: str, message: str) -> GraphQLError:
    given = error.extensions if message == error.message else None
    return GraphQLError(
        message,
        error.nodes,
        error.source,
        error.positions,
        error.path,
        extensions={**(given or {}), "code": str(code)},
    )
