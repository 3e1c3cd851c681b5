"""Asks one instance, whose answers are held whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from engines.instance_connection import InstanceBroken, InstanceConnection
from engines.instance_link import InstanceUnreachable, Link

# Beyond what an instance itself waits for a prediction: the time in which it says that it took too long.
MORE_SECONDS = 10.0
PATH_CHARACTERS = "/?%:@!$&'()*+,;=~"
# Answers up to this are held without asking for room.
SMALL_ANSWER_BYTES = 64 * 1024


class AnswerRoom(Protocol):
    """Room for one answer."""

    async def take(self) -> None: ...


class InstanceGone(Exception):
    """The instance broke the connection off, or does not answer. Unless `may_have_begun` it never had the request."""

    def __init__(self, reason: str, *, may_have_begun: bool) -> None:
        super().__init__(reason)
        self.may_have_begun = may_have_begun


class AnswerTooLarge(Exception):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The answer has more than {limit_bytes} bytes.")


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    method: str
    path: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class InstanceAnswer:
    status: int
    body: bytes


class InstanceClient:
    """Asks the instance that listens at the link's address, as many times at once as it is called."""

    def __init__(self, link: Link, *, timeout_seconds: float, max_answer_bytes: int) -> None:
        self._link = link
        self._timeout_seconds = timeout_seconds + MORE_SECONDS
        self._max_answer_bytes = max_answer_bytes

    async def ask(self, request: InstanceRequest, room: AnswerRoom) -> InstanceAnswer:
        """Raises InstanceGone and AnswerTooLarge. The room is taken before more than a small answer is read."""
        has_begun = False
        try:
            async with asyncio.timeout(self._timeout_seconds) as deadline:
                connection = await self._link.connect()
                has_begun = True
                try:
                    return await self._exchange(connection, request, room, deadline)
                finally:
                    # One whose answer was not read to its end is closed.
                    self._link.give_back(connection)
        except (InstanceUnreachable, InstanceBroken, TimeoutError) as failure:
            raise InstanceGone(str(failure) or type(failure).__name__, may_have_begun=has_begun) from failure

    async def _exchange(
        self, connection: InstanceConnection, request: InstanceRequest, room: AnswerRoom, deadline: asyncio.Timeout
    ) -> InstanceAnswer:
        connection.send(self._head(request) + request.body, is_bodyless=request.method == "HEAD")
        await connection.read_head()
        body = bytearray()
        async for part in connection.parts():
            body += part
            if len(body) > self._max_answer_bytes:
                raise AnswerTooLarge(self._max_answer_bytes)
            if len(body) > SMALL_ANSWER_BYTES:
                with _suspended(deadline):
                    await room.take()
        return InstanceAnswer(connection.status, bytes(body))

    def _head(self, request: InstanceRequest) -> bytes:
        address = self._link.address
        path = address.prefix + quote(request.path, safe=PATH_CHARACTERS)
        lines = (
            f"{request.method} {path} HTTP/1.1",
            f"content-type: {request.content_type}",
            f"content-length: {len(request.body)}",
            f"host: {address.host.decode()}",
        )
        return "\r\n".join((*lines, "", "")).encode("latin-1")


@contextmanager
def _suspended(deadline: asyncio.Timeout) -> Iterator[None]:
    """The time in here is ours: an instance that answers is not to be given up for it."""
    loop = asyncio.get_running_loop()
    when, began_at = deadline.when(), loop.time()
    deadline.reschedule(None)
    yield
    if when is not None:
        deadline.reschedule(when + loop.time() - began_at)
