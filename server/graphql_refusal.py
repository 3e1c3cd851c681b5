"""A request that no operation answers: refused, in the shape of a GraphQL response."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError

from gql.fault_code import FaultCode
from gql.masking import AWAY_MESSAGE, MASKED_MESSAGE
from server.media_type import answer_media_type
from server.sign_in_errors import SignInError, Unauthenticated

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Refusal(Exception):
    """Answered with a status code and `{"errors": [{message, extensions: {code}}]}`."""

    def __init__(
        self, message: str, *, status_code: int, code: FaultCode, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.headers = headers

    def response(self, request: Request, request_id: str) -> Response:
        """In the media type that the request accepts; the request's id only where the fault is ours."""
        extensions = {"code": self.code, **({"requestId": request_id} if self.status_code >= 500 else {})}
        return Response(
            orjson.dumps({"errors": [{"message": str(self), "extensions": extensions}]}),
            status_code=self.status_code,
            headers={**self.headers, "cache-control": "no-store", "vary": "accept"},
            media_type=answer_media_type(request.headers.get("accept", "")),
        )


def bad_request(message: str) -> Refusal:
    """What was sent is no GraphQL request."""
    return Refusal(message, status_code=400, code=FaultCode.BAD_REQUEST)


def method_not_allowed(message: str, *, allow: str) -> Refusal:
    """`allow` lists the methods that are."""
    return Refusal(message, status_code=405, code=FaultCode.METHOD_NOT_ALLOWED, headers={"allow": allow})


def internal_error() -> Refusal:
    """A fault of ours, of which nothing is told."""
    return Refusal(MASKED_MESSAGE, status_code=500, code=FaultCode.INTERNAL_SERVER_ERROR)


def overloaded() -> Refusal:
    """Others are being answered; nothing was executed."""
    return Refusal(
        "The server has too much to do at the moment.",
        status_code=503,
        code=FaultCode.OVERLOADED,
        headers={"retry-after": "1"},
    )


def database_unavailable() -> Refusal:
    """Nobody can be signed in while the database is away."""
    return Refusal(AWAY_MESSAGE, status_code=503, code=FaultCode.DATABASE_UNAVAILABLE, headers={"retry-after": "1"})


def sign_in_refusal(error: SignInError) -> Refusal:
    """The answer to a request without a good token, or for somebody else's workspace."""
    headers = {"www-authenticate": 'Bearer realm="modelyard"'} if isinstance(error, Unauthenticated) else {}
    return Refusal(str(error), status_code=error.status_code, code=error.code, headers=headers)


def view_refusal(error: HTTPException) -> Refusal:
    """What Strawberry's view raises for a request that it does not understand."""
    if isinstance(error.__cause__, InvalidOperationTypeError):
        return method_not_allowed(error.reason, allow="POST")
    return Refusal(error.reason, status_code=error.status_code, code=FaultCode.BAD_REQUEST)
