"""GraphQL over HTTP: Strawberry's ASGI view, with the status codes, media types and refusals of the specification."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Generic, TypeVar

import orjson
import structlog
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData, process_result
from strawberry.http.base import BaseRequestProtocol
from strawberry.schema import BaseSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from db.failure import LOST_CONNECTIONS
from gql.fault_code import FaultCode
from server.admission import Admission, Overloaded
from server.graphql_refusal import (
    Refusal,
    bad_request,
    database_unavailable,
    internal_error,
    method_not_allowed,
    overloaded,
    sign_in_refusal,
    view_refusal,
)
from server.log import REQUEST_ID
from server.media_type import GRAPHQL_RESPONSE, answer_media_type, is_json, names_html, names_json
from server.plain_request import PlainHeaders, plain_headers, read_operation, replayed
from server.request_body import BoundedBody
from server.sign_in_errors import SignInError

Context = TypeVar("Context")

REQUEST_ID_FORM = re.compile(rb"[A-Za-z0-9._-]{1,64}")
PLAIN_OPERATIONS = (OperationType.QUERY, OperationType.MUTATION)
OUR_FAULTS: Mapping[str, int] = MappingProxyType(
    {
        FaultCode.INTERNAL_SERVER_ERROR: 500,
        FaultCode.OPERATION_TIMEOUT: 503,
        FaultCode.OVERLOADED: 503,
        FaultCode.DATABASE_UNAVAILABLE: 503,
    }
)

log = structlog.get_logger(__name__)


class GraphQLView(GraphQL[Context, None], Generic[Context]):
    """The endpoint. A browser's visit gets `page`; everything else is a GraphQL request and is signed in first.

    `context_for` makes an operation's context and raises a SignInError for a request that is not let in. A schema may
    answer with `data` that is an `orjson.Fragment`: its bytes are passed through. `admission` makes a bound on what
    goes on at once: one for sign-ins and one for operations, so that nobody takes a place while a body arrives.
    `kept_context` is the context of an Authorization and a workspace header that were let in a moment ago.
    """

    def __init__(
        self,
        schema: BaseSchema,
        *,
        context_for: Callable[[Request], Awaitable[Context]],
        page: Callable[[], Response],
        admission: Callable[[], Admission],
        kept_context: Callable[[bytes, bytes], Context | None] = lambda _authorization, _workspace: None,
        body_limit_bytes: int = 1 << 20,
        body_timeout_seconds: float = 30.0,
    ) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self._context_for = context_for
        self._kept_context = kept_context
        self._page = page
        self._sign_ins, self._operations = admission(), admission()
        self._bounded_body = partial(BoundedBody, limit_bytes=body_limit_bytes, timeout_seconds=body_timeout_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        bounded = self._bounded_body(scope, receive)
        plain = plain_headers(scope)
        request_id = _request_id(plain.request_id if plain else Headers(scope=scope).get("x-request-id", "").encode())
        token = REQUEST_ID.set(request_id)
        try:
            rest = await self._answer_plain(plain, request_id, scope, bounded, send) if plain else bounded
            if rest is None:
                return
            request = Request(scope, rest)
            request.state.request_id = request_id
            response = await self._respond(request)
            response.headers["x-request-id"] = request_id
            await response(scope, receive, send)
        finally:
            REQUEST_ID.reset(token)

    async def _answer_plain(
        self, plain: PlainHeaders, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> Receive | None:
        """Answer a plain request of somebody who is known already; else what is left to be received.

        Nothing has been executed where something is left: whatever is wrong with the request is told on the long way.
        """
        context = self._kept_context(plain.authorization, plain.workspace)
        if context is None or self._operations.is_full:
            return receive
        try:
            message = await receive()
        except Refusal:
            return receive
        operation = read_operation(message)
        if operation is None:
            return replayed(message, receive)
        try:
            async with self._operations:
                result = await self.schema.execute(
                    operation.query,
                    operation.variables,
                    context,
                    operation_name=operation.name,
                    allowed_operation_types=PLAIN_OPERATIONS,
                )
            status, headers, body = _plain_answer(result, plain.accept.decode("latin-1"), request_id)
        except (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError, Overloaded):
            return replayed(message, receive)
        except Exception as error:
            request = Request(scope)
            response = _refusal(error).response(request, request_id)
            response.headers["x-request-id"] = request_id
            await response(scope, receive, send)
            return None
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None

    async def _respond(self, request: Request) -> Response:
        if request.method == "GET" and names_html(request.headers.get("accept", "")):
            return self._page()
        try:
            _refuse_method_or_simple_get(request)
            response: Response = await self.run(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:
            return _refusal(error).response(request, request.state.request_id)
        else:
            return response

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        assert isinstance(request, Request)
        async with self._sign_ins:
            return await self._context_for(request)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        sub_response = await super().get_sub_response(request)
        sub_response.media_type = answer_media_type(request.headers.get("accept", ""))
        return sub_response

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData | list[GraphQLRequestData]:
        if request.method == "POST" and not is_json(request.content_type or ""):
            raise Refusal(
                "Send the request as application/json.", status_code=415, code=FaultCode.UNSUPPORTED_MEDIA_TYPE
            )
        return await super().parse_http_body(request)

    def parse_json(self, data: str | bytes) -> object:
        parsed = super().parse_json(data)
        if isinstance(parsed, dict) or (isinstance(parsed, list) and all(isinstance(item, dict) for item in parsed)):
            return parsed
        raise HTTPException(400, "Expected a JSON object.")

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,
        context: Context,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        async with self._operations:
            return await super().execute_single(
                request, request_adapter, sub_response, context, root_value, request_data
            )

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        return _shown(result, request.state.request_id)

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        response = super().create_response(response_data, sub_response)
        response.headers["content-type"] = f"{sub_response.media_type}; charset=utf-8"
        response.headers["cache-control"] = "no-store"
        if sub_response.media_type == GRAPHQL_RESPONSE and isinstance(response_data, dict):
            response.status_code = _status_code(response_data)
        return response


def _request_id(given: bytes) -> str:
    return given.decode() if REQUEST_ID_FORM.fullmatch(given) else secrets.token_hex(16)


def _plain_answer(result: object, accept: str, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body."""
    assert isinstance(result, ExecutionResult)
    media_type = answer_media_type(accept)
    answer = _shown(result, request_id)
    body = orjson.dumps(answer)
    headers = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
    ]
    return _status_code(answer) if media_type == GRAPHQL_RESPONSE else 200, headers, body


def _shown(result: ExecutionResult, request_id: str) -> GraphQLHTTPResponse:
    """No `data` where nothing was executed, and the request's id beside each fault of ours."""
    response = process_result(result)
    if not result.errors:
        return response
    if result.data is None and all(error.path is None for error in result.errors):
        del response["data"]
    for error in result.errors:
        if error.extensions and error.extensions.get("code") in OUR_FAULTS:
            error.extensions["requestId"] = request_id
    return response


def _refuse_method_or_simple_get(request: Request) -> None:
    if request.method not in ("GET", "POST"):
        raise method_not_allowed("GraphQL is spoken with GET and POST.", allow="GET, POST")
    if request.method == "GET" and not _may_get(request):
        raise bad_request("A GET request has to name application/json in its Accept header.")


def _may_get(request: Request) -> bool:
    """Not something that a page of another site could make a browser send unasked: a link, an image, a script."""
    return "authorization" in request.headers or names_json(request.headers.get("accept", ""))


def _refusal(error: Exception) -> Refusal:
    match error:
        case Refusal():
            return error
        case Overloaded():
            return overloaded()
        case SignInError():
            return sign_in_refusal(error)
        case HTTPException():
            return view_refusal(error)
        case error if isinstance(error, LOST_CONNECTIONS):
            code = FaultCode.DATABASE_UNAVAILABLE
            log.warning("operation_stopped", code=code, reason=f"{type(error).__name__}: {error}")
            return database_unavailable()
    log.error("request_failed", exc_info=error)
    return internal_error()


def _status_code(response_data: GraphQLHTTPResponse) -> int:
    """200 once something was executed; else by the first error's code."""
    if "data" in response_data:
        return 200
    error = (response_data.get("errors") or [{}])[0]
    code = error.get("extensions", {}).get("code") if isinstance(error, dict) else None
    return OUR_FAULTS.get(str(code), 400)
