"""Asks one instance, whose answers are held whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, DummyCookieJar

from engines.instance_connector import connector_for

# Beyond what an instance itself waits for a prediction: the time in which it says that it took too long.
MORE_SECONDS = 10.0
CHUNK_BYTES = 64 * 1024
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
    content_type: str
    body: bytes


class InstanceClient:
    """`address` is where the instance listens; at most `connections` requests are under way."""

    def __init__(self, address: str, *, connections: int, timeout_seconds: float, max_answer_bytes: int) -> None:
        self._base_url, connector = connector_for(address, connections=connections)
        self._max_answer_bytes = max_answer_bytes
        self._session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=timeout_seconds + MORE_SECONDS),
        )

    async def ask(self, request: InstanceRequest, room: AnswerRoom) -> InstanceAnswer:
        """Raises InstanceGone and AnswerTooLarge. The room is taken before more than a small answer is read."""
        headers = {"Content-Type": request.content_type}
        url = f"{self._base_url}{request.path}"
        try:
            async with self._session.request(
                request.method, url, data=request.body, headers=headers, allow_redirects=False
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > self._max_answer_bytes:
                        raise AnswerTooLarge(self._max_answer_bytes)
                    if len(body) > SMALL_ANSWER_BYTES:
                        await room.take()
                return InstanceAnswer(response.status, response.headers.get("Content-Type", ""), bytes(body))
        except (ClientError, TimeoutError, OSError) as failure:
            has_begun = not isinstance(failure, ClientConnectorError)
            raise InstanceGone(str(failure) or type(failure).__name__, may_have_begun=has_begun) from failure

    async def close(self) -> None:
        await self._session.close()
