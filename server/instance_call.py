"""One prediction on its way to an instance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

from engines.instance_connection import Headers, InstanceBroken, InstanceConnection
from server.gateway_caller import CallerGone
from server.prediction_body import Body
from server.prediction_metrics import FailureReason, VersionMetrics
from server.prediction_path import named_version
from server.prediction_refusal import PredictionRefused
from server.route_table import Draw

WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


@dataclass(slots=True)
class Call:
    """One prediction on its way to an instance.

    `workspaces` are those that its caller may ask in, `version` the one that the path names, if any.
    """

    service_id: str
    workspaces: frozenset[UUID]
    method: str
    target: str
    headers: Headers
    version: str | None = field(init=False)
    draw: Draw | None = field(default=None, init=False)
    failure: FailureReason | None = field(default=None, init=False)
    _connection: InstanceConnection | None = field(default=None, init=False)
    _sender: asyncio.Task[None] | None = field(default=None, init=False)
    _series: VersionMetrics | None = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.version = named_version(self.target)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def begin(self, draw: Draw, series: VersionMetrics) -> None:
        """Go to an instance; one that is asked in another's stead answers for its own version."""
        self.draw = draw
        draw.link.in_flight += 1
        if self._series is not None:
            self._series.leave()
        else:
            self._started_at = time.perf_counter()
        self._series = series
        series.enter()

    async def send(self, body: Body) -> InstanceConnection:
        """The connection, once the head of the answer is there. Raises InstanceUnreachable and InstanceBroken."""
        assert self.draw is not None
        link = self.draw.link
        connection = self._connection = await link.connect()
        head = self._head(link.address.host, link.address.prefix, body)
        if isinstance(body, bytes):
            connection.send(head + body, is_bodyless=self.method == "HEAD")
        else:
            connection.send(head, is_bodyless=self.method == "HEAD")
            self._sender = asyncio.create_task(_send_parts(connection, body, in_chunks=self._declared_length is None))
        await connection.read_head()
        self.failure = FailureReason.STATUS if connection.status >= 500 else None
        return connection

    @property
    def _declared_length(self) -> bytes | None:
        return next((value for name, value in self.headers if name == b"content-length"), None)

    def _head(self, host: bytes, prefix: str, body: Body) -> bytes:
        lines = [f"{self.method} {prefix}{self.target} HTTP/1.1".encode("latin-1"), b"host: " + host]
        lines += [name + b": " + value for name, value in self.headers]
        if isinstance(body, bytes):
            if body or self.method in WITH_BODY:
                lines.append(b"content-length: %d" % len(body))
        elif self._declared_length is None:
            lines.append(b"transfer-encoding: chunked")
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def leave(self) -> None:
        """Let go of the instance."""
        is_sent = self._sender is None or self._sender.done()
        if self._sender is not None:
            self._sender.cancel()
        if self.draw is not None:
            self.draw.link.in_flight -= 1
            if self._connection is not None:
                if is_sent:
                    self.draw.link.give_back(self._connection)
                else:
                    self._connection.abort()
        self.draw = self._connection = self._sender = None

    def finish(self, *, is_callers_doing: bool) -> None:
        self.leave()
        if self._series is not None:
            failure = None if is_callers_doing else self.failure
            self._series.finish(time.perf_counter() - self._started_at, failure)


async def _send_parts(connection: InstanceConnection, parts: AsyncIterator[bytes], *, in_chunks: bool) -> None:
    try:
        async for part in parts:
            if part:
                await connection.send_part(b"%x\r\n%b\r\n" % (len(part), part) if in_chunks else part)
        if in_chunks:
            await connection.send_part(b"0\r\n\r\n")
    except InstanceBroken:
        # It may have answered before all was sent; whoever reads the answer is told.
        return
    except (CallerGone, PredictionRefused):
        # The sender of the body ended it and knows why; without its end the request is none.
        connection.abort()
