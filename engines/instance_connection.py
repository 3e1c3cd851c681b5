"""One connection to an instance: HTTP/1.1 with httptools, one request after the other.

A general client takes several times the processor time: nothing here knows of redirects, cookies or compression.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# In their order, names in any case.
Headers = list[tuple[bytes, bytes]]
# More is held back: the instance waits until the caller has taken what was read.
HELD_BYTES = 1 << 18
# Head, trailers and the framing of chunks, until the next byte of the body.
LONGEST_OVERHEAD_BYTES = 1 << 16
SWITCHING_PROTOCOLS = 101


class InstanceBroken(Exception):
    """The connection broke, or what came was no HTTP answer; the instance may have seen the request."""


class InstanceConnection(asyncio.Protocol):
    """Sends a request and reads its answer; it can be used again once `is_reusable`.

    `status`, `headers` (names in lower case) and `content_length` are there after `read_head`.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._is_writable = True
        self._prepare()
        self._is_complete = True

    def _prepare(self) -> None:
        self._parser = HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._held_bytes = self._overhead_bytes = 0
        self._has_head = self._is_complete = self._is_paused = False
        self._is_bodyless = self._is_chunked = self._is_kept = False
        self.status = 0
        self.headers: Headers = []
        self.content_length: int | None = None

    @property
    def is_open(self) -> bool:
        return self._failure is None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        return self._is_complete and self._is_kept and self.is_open

    def send(self, head: bytes, *, is_bodyless: bool = False) -> None:
        """Begin a request: its head, and its body where that is short. The answer to HEAD `is_bodyless`."""
        self._prepare()
        self._is_bodyless = is_bodyless
        self._transport.write(head)

    async def send_part(self, part: bytes) -> None:
        """Send more of the body, once the instance has taken what was sent. Raises InstanceBroken."""
        while not self._is_writable:
            self._drain = self._loop.create_future()
            await self._drain
        if not self.is_open:
            raise InstanceBroken(repr(self._failure))
        self._transport.write(part)

    async def read_head(self) -> None:
        """Raises InstanceBroken."""
        while not self._has_head:
            await self._more()
        if not 200 <= self.status <= 599:
            raise InstanceBroken("no status that an answer may have")

    async def read(self) -> bytes:
        """The whole body, for one of a known, short length. Raises InstanceBroken."""
        while not self._is_complete:
            await self._more()
        return b"".join(self._parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises InstanceBroken."""
        while True:
            while self._parts:
                part = self._parts.popleft()
                self._held_bytes -= len(part)
                yield part
            if self._is_complete:
                return
            await self._more()

    def abort(self) -> None:
        self._transport.abort()

    async def _more(self) -> None:
        if self._failure is not None:
            raise InstanceBroken(repr(self._failure))
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake_reader(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        self._is_writable = True
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    def _fail(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self._transport.abort()
        self._wake_reader()
        self._wake_writer()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but its bases.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        # Without a length, and not in chunks, the end of the connection is the end of the body.
        if self._has_head and self.content_length is None and not self._is_chunked and error is None:
            self._is_complete = True
        self._fail(error or ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        if self._is_complete:
            self._fail(ConnectionResetError("more came than was asked for"))
            return
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(error)
            return
        if self._overhead_bytes > LONGEST_OVERHEAD_BYTES:
            self._fail(ConnectionResetError("the head of the answer is too long"))
        elif self._held_bytes > HELD_BYTES and not self._is_complete:
            self._is_paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._wake_writer()

    # What httptools calls. After the answer's end nothing more is believed.

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._is_complete:
            self._is_kept = False
        elif status == SWITCHING_PROTOCOLS or status >= 200:
            self._has_head = True
            self.status = status
            self._is_kept = self._parser.should_keep_alive()
            self._read_length()
            # The parser would wait for the body that the head of an answer to HEAD describes.
            self._is_complete = self._is_bodyless
            self._wake_reader()

    def _read_length(self) -> None:
        for name, value in self.headers:
            if name == b"content-length":
                self.content_length = int(value)
            elif name == b"transfer-encoding":
                self._is_chunked = True

    def on_body(self, part: bytes) -> None:
        if self._is_complete:
            self._is_kept = False
            return
        self._overhead_bytes = 0
        self._held_bytes += len(part)
        self._parts.append(part)
        self._wake_reader()

    def on_message_complete(self) -> None:
        if self._has_head:
            self._is_complete = True
            self._wake_reader()
        else:
            self.headers.clear()
