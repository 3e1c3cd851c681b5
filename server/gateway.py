"""The gateway: a prediction request goes to one instance of a service, and its answer comes back.

any method  {mount}/{service_id}/{path}          Authorization: Bearer <token>; none where the service is public
GET         {mount}/{service_id}/openapi.json    what the service's versions declare, unless a model has its own there
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from random import Random
from secrets import token_hex
from typing import Protocol
from urllib.parse import quote, unquote
from uuid import UUID

import structlog
from starlette.types import Receive, Scope, Send

from engines.instance_connection import Headers, InstanceBroken, InstanceConnection
from engines.instance_link import InstanceUnreachable
from server.client_address import TrustedProxies
from server.declared_api import ApiSource, DeclaredApis, NoApis
from server.gateway_caller import AnswerCut, Caller, CallerGone
from server.gateway_door import Door, looked_up
from server.gateway_insider import Insider, Prediction
from server.input_check import InputChecks
from server.instance_call import Call
from server.openapi import DOCUMENT_PATH
from server.prediction_body import BUFFERED_BYTES, Body
from server.prediction_header import VERSION_HEADER, RequestHead, answered_headers
from server.prediction_metrics import FailureReason, PredictionMetrics
from server.prediction_path import check_path, split_path
from server.prediction_refusal import (
    COUNTED,
    PredictionRefused,
    RefusalCode,
    instance_failed,
    invalid_input,
    not_ready,
    timed_out,
    too_large_to_check,
    too_many_requests,
)
from server.rate_limit import RateLimits
from server.route import Route, RouteSource
from server.route_table import Draw, Entry, RouteTable
from server.service_document import ServiceDocuments
from server.service_policy import Limits
from server.sign_in_cache import SignIn

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Gateway:
    """The ASGI application, and the same way to an instance for our own code (`predict`).

    `timeout_seconds` and `max_body_bytes` are the upper bounds of each service's own. `instance_header` names a
    response header that tells which replica answered; by default none does.
    """

    def __init__(
        self,
        routes: RouteSource,
        sign_in: SignIn,
        *,
        metrics: PredictionMetrics,
        apis: ApiSource | None = None,
        predictions_url: str = "",
        timeout_seconds: float = 40.0,
        max_body_bytes: int = 12 << 20,
        max_in_flight_per_instance: int = 256,
        trusted_proxies: TrustedProxies | None = None,
        instance_header: str | None = None,
        random: Random | None = None,
    ) -> None:
        self._metrics = metrics
        self._limits = Limits(timeout_seconds, max_body_bytes)
        self._max_in_flight = max_in_flight_per_instance
        self._proxies = trusted_proxies or TrustedProxies()
        self._instance_header = instance_header.lower().encode() if instance_header else None
        self._follower: asyncio.Task[None] | None = None
        self._rates = RateLimits()
        declared = DeclaredApis(apis or NoApis())
        self._inputs = InputChecks(declared)
        self._documents = ServiceDocuments(declared, predictions_url=predictions_url)
        self._table = RouteTable(routes, random=random or Random(), on_swap=self._keep)
        self._door = Door(self._table, sign_in)

    async def open(self) -> None:
        """Read the routes and begin to follow their changes. Raises what the source raises."""
        await self._table.refresh()
        self._follower = asyncio.create_task(self._table.follow(), name="gateway routes")

    async def close(self) -> None:
        """Stop following and close all connections."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait([self._follower])
        self._table.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        head = RequestHead(scope)
        caller = Caller(receive, send, head, limits=self._limits)
        try:
            await self._answer(scope, head, caller)
        except PredictionRefused as refusal:
            await caller.refuse(refusal)
        except CallerGone:
            log.debug("prediction abandoned by its caller", request_id=head.request_id)
        except AnswerCut as cut:
            log.warning("prediction cut short", request_id=head.request_id, reason=str(cut))

    async def predict(
        self,
        service_id: str,
        *,
        workspace_id: UUID,
        body: bytes,
        method: str = "POST",
        path: str = "/",
        content_type: str = "application/json",
        request_id: str | None = None,
    ) -> Prediction:
        """Ask a service from our own code. Neither body nor answer may be over the limit. Raises PredictionRefused."""
        target = "/" + quote(path.removeprefix("/"), safe="/?%:@!$&'()*+,;=~")
        check_path(unquote(target.partition("?")[0]))
        headers = [
            (b"content-type", content_type.encode("latin-1")),
            (b"x-request-id", (request_id or token_hex(16)).encode("latin-1")),
        ]
        call = Call(service_id, frozenset((workspace_id,)), method, target, headers)
        entry = await self._door.entry(call.service_id, call.workspaces)
        insider = Insider(body, limits=self._limits.within(entry.route.policy))
        await self._conduct(call, insider, entry.route)
        return insider.prediction

    def _keep(self, routes: Collection[Route]) -> None:
        self._metrics.keep(routes)
        self._rates.keep({route.service_id for route in routes})

    async def _answer(self, scope: Scope, head: RequestHead, caller: Caller) -> None:
        service_id, target = split_path(scope)
        # Asked before the body is read, so that nobody sends megabytes to a service that is not there.
        entry, workspaces = await self._door.open(service_id, head.held.get(b"authorization", b""))
        caller.limits = self._limits.within(entry.route.policy)
        if target == DOCUMENT_PATH and head.method == "GET":
            document = await looked_up(self._documents.of(entry.route))
            if document is not None:
                await caller.answer(200, [(b"content-type", b"application/json")], document)
                return
        forwarded = self._proxies.forwarded(
            scope, hops=head.held.get(b"x-forwarded-for", b""), scheme=head.held.get(b"x-forwarded-proto", b"")
        )
        call = Call(service_id, workspaces, head.method, target, head.for_instance(forwarded))
        await self._conduct(call, caller, entry.route)

    async def _conduct(self, call: Call, side: _Side, route: Route) -> None:
        try:
            self._admit(route)
            await self._exchange(call, side)
        except PredictionRefused as refusal:
            if refusal.code in COUNTED:
                self._metrics.refused(route.service_id, route.workspace_id, refusal.code)
            raise

    def _admit(self, route: Route) -> None:
        wait_seconds = self._rates.take(route.service_id, route.policy)
        if wait_seconds is not None:
            raise too_many_requests(route.policy.requests_per_second or 0.0, wait_seconds)

    async def _exchange(self, call: Call, side: _Side) -> None:
        timeout_seconds = side.limits.timeout_seconds
        try:
            async with asyncio.timeout(timeout_seconds) as limit:
                body = await side.read_body(limit)
                response = await self._ask(call, body)
                await side.take(response, self._answer_headers(call, response))
        except TimeoutError as error:
            call.failure = FailureReason.TIMEOUT
            raise side.interruption(timed_out(timeout_seconds)) from error
        except (InstanceBroken, OSError) as error:
            call.failure = FailureReason.CONNECTION
            raise side.interruption(instance_failed()) from error
        finally:
            side.close()
            call.finish(is_callers_doing=side.is_to_blame)

    async def _ask(self, call: Call, body: Callable[[], Body]) -> InstanceConnection:
        failed: Draw | None = None
        while True:
            entry, draw = await self._draw(call, failed)
            route = entry.route
            if draw is None:
                raise _not_ready(entry, call.version)
            if route.policy.checks_inputs:
                await self._check(call, route, draw, body())
            if draw.link.in_flight >= self._max_in_flight:
                raise PredictionRefused(RefusalCode.SERVICE_BUSY, "Every instance is busy.", retry_after_seconds=1)
            series = self._metrics.of(call.service_id, route.workspace_id, draw.target.model_version_id)
            call.begin(draw, series)
            try:
                return await call.send(body())
            except InstanceUnreachable as error:
                # Only here is it certain that no byte was sent.
                log.warning("instance not reached", instance=draw.link.instance_id, error=str(error))
                call.failure = FailureReason.CONNECTION
                call.leave()
                if failed is not None:
                    raise _not_ready(entry, call.version) from error
                failed = draw

    async def _draw(self, call: Call, failed: Draw | None) -> tuple[Entry, Draw | None]:
        """An instance, where there is one: before it is said that there is none, the service's rows are asked."""
        entry = await self._door.entry(call.service_id, call.workspaces)
        draw = self._table.draw(entry, version=call.version, failed=failed)
        if draw is None:
            await looked_up(self._table.find(call.service_id))
            entry = await self._door.entry(call.service_id, call.workspaces)
            draw = self._table.draw(entry, version=call.version, failed=failed)
        return entry, draw

    async def _check(self, call: Call, route: Route, draw: Draw, body: Body) -> None:
        lookup = self._inputs.of(route.workspace_id, draw.target.model_version_id, method=call.method, path=call.path)
        check = await looked_up(lookup)
        if check is None:
            return
        if not isinstance(body, bytes):
            raise too_large_to_check(BUFFERED_BYTES)
        problems = check.problems(body)
        if problems:
            raise invalid_input(problems)

    def _answer_headers(self, call: Call, response: InstanceConnection) -> Headers:
        assert call.draw is not None
        headers = answered_headers(response.headers)
        headers.append((VERSION_HEADER, call.draw.target.model_version_id.encode()))
        if self._instance_header is not None:
            headers.append((self._instance_header, call.draw.link.instance_id.encode()))
        return headers


def _not_ready(entry: Entry, version: str | None) -> PredictionRefused:
    """Names the version that was asked for only where it is one of the service's."""
    is_ours = version is not None and entry.runs(version)
    return not_ready(entry.route.status, version if is_ours else None)


class _Side(Protocol):
    """Where a body comes from and an answer goes to; a failure is not the instance's where this side is to blame."""

    @property
    def limits(self) -> Limits: ...

    @property
    def is_to_blame(self) -> bool: ...

    async def read_body(self, limit: asyncio.Timeout) -> Callable[[], Body]: ...

    async def take(self, response: InstanceConnection, headers: Headers) -> None: ...

    def interruption(self, refusal: PredictionRefused) -> Exception: ...

    def close(self) -> None: ...
