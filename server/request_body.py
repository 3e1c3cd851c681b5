"""Receiving a request's body, bounded in size and in time."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope

from gql.fault_code import FaultCode
from server.graphql_refusal import Refusal


class BoundedBody:
    """An ASGI `receive` whose body may have so many bytes and take so many seconds from the first look at it.

    Raises Refusal (413 or 408) to whoever reads the body.
    """

    def __init__(self, scope: Scope, receive: Receive, *, limit_bytes: int, timeout_seconds: float) -> None:
        self._receive = receive
        self._declared_bytes = _declared_bytes(scope)
        self._limit_bytes = limit_bytes
        self._timeout_seconds = timeout_seconds
        self._deadline: float | None = None
        self._received_bytes = 0
        self._is_complete = False

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        self._refuse_above_limit(self._declared_bytes)
        message = await self._receive_in_time()
        self._received_bytes += len(message.get("body", b""))
        self._refuse_above_limit(self._received_bytes)
        self._is_complete = not message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError as error:
            message = f"The body did not arrive within {self._timeout_seconds:g} seconds."
            raise Refusal(message, status_code=408, code=FaultCode.REQUEST_TIMEOUT) from error

    def _refuse_above_limit(self, length_bytes: int) -> None:
        if length_bytes > self._limit_bytes:
            message = f"The body is larger than {self._limit_bytes} bytes."
            raise Refusal(message, status_code=413, code=FaultCode.REQUEST_TOO_LARGE)


def _declared_bytes(scope: Scope) -> int:
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(declared) if declared.isdigit() else 0
