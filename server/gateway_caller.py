"""The sender of an HTTP request as the gateway's caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import KW_ONLY, dataclass, field

import orjson
from starlette.types import Message, Receive, Send

from engines.instance_connection import Headers, InstanceConnection
from server.prediction_body import BUFFERED_BYTES, Body
from server.prediction_header import GUARDS, RequestHead
from server.prediction_refusal import PredictionRefused, RefusalCode, body_too_large, body_too_slow
from server.service_policy import Limits

BODYLESS_STATUSES = (204, 304)
# Most answers come sooner, and then nobody had to watch whether the caller is still there.
WATCH_AFTER_SECONDS = 0.05
# What a body may take beyond the time limit is measured by its length, so that no trickle holds a connection for ever.
SLOWEST_BYTES_A_SECOND = 8192
SHORT_WAIT_SECONDS = 0.05


class CallerGone(Exception):
    """The caller closed its connection."""


class AnswerCut(Exception):
    """The answer ended after a part of it had gone out."""


@dataclass(slots=True)
class Caller:
    """The sender of an HTTP request: its body in, the answer out, and whether it is still there."""

    receive: Receive
    send: Send
    head: RequestHead
    _: KW_ONLY
    limits: Limits
    _received_bytes: int = field(default=0, init=False)
    _waited_seconds: float = field(default=0.0, init=False)
    _is_gone: bool = field(default=False, init=False)
    _is_reading: bool = field(default=True, init=False)
    _is_waiting: bool = field(default=False, init=False)
    _is_started: bool = field(default=False, init=False)
    _refusal: PredictionRefused | None = field(default=None, init=False)
    _limit: asyncio.Timeout | None = field(default=None, init=False)
    _watch: asyncio.TimerHandle | None = field(default=None, init=False)
    _watcher: asyncio.Task[None] | None = field(default=None, init=False)

    @property
    def is_to_blame(self) -> bool:
        return self._is_gone or self._refusal is not None

    async def read_body(self, limit: asyncio.Timeout) -> Callable[[], Body]:
        """Up to 1 MiB is held, so that it can be sent to another instance; more is streamed."""
        self._limit = limit
        declared = self.head.content_length
        if declared is not None and declared > self.limits.max_body_bytes:
            raise body_too_large(self.limits.max_body_bytes)
        if declared is not None and declared > BUFFERED_BYTES:
            return lambda: self._stream(b"")
        held = await self._read_chunk()
        while self._is_reading and len(held) <= BUFFERED_BYTES:
            held += await self._read_chunk()
        if self._is_reading or len(held) > BUFFERED_BYTES:
            return lambda: self._stream(held)
        return lambda: held

    async def take(self, response: InstanceConnection, headers: Headers) -> None:
        length = response.content_length
        if self.head.method == "HEAD" or response.status in BODYLESS_STATUSES:
            await self._start(response.status, headers)
            await self._send_part(b"", is_last=True)
        elif length is not None and length <= BUFFERED_BYTES:
            # Read before anything goes out, so that an instance that dies in the middle is still a clear refusal.
            body = await response.read()
            await self._start(response.status, headers)
            await self._send_part(body, is_last=True)
        else:
            await self._start(response.status, headers)
            async for chunk in response.parts():
                await self._send_part(chunk, is_last=False)
                self._postpone(self.limits.timeout_seconds)
            await self._send_part(b"", is_last=True)

    async def refuse(self, refusal: PredictionRefused) -> None:
        """Answer with JSON: code, message and request id."""
        told: dict[str, object] = {
            "code": refusal.code,
            "message": str(refusal),
            "requestId": self.head.request_id,
        }
        if refusal.problems:
            told["problems"] = refusal.problems
        body = orjson.dumps(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if refusal.code is RefusalCode.UNAUTHENTICATED:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.retry_after_seconds is not None:
            headers.append((b"retry-after", b"%d" % refusal.retry_after_seconds))
        await self.answer(refusal.status, headers, body)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with what is our own."""
        await self._start(status, headers)
        await self._send_part(body, is_last=True)

    def interruption(self, refusal: PredictionRefused) -> Exception:
        """What to raise where waiting ended with `refusal`: it may have been this side that ended it."""
        if self._is_gone:
            return CallerGone()
        if self._is_started:
            return AnswerCut(str(self._refusal or refusal))
        if self._refusal is not None:
            return self._refusal
        if self._is_waiting and refusal.code is RefusalCode.PREDICTION_TIMED_OUT:
            self._refusal = body_too_slow(self.limits.timeout_seconds)
            return self._refusal
        return refusal

    def close(self) -> None:
        self._limit = None
        if self._watch is not None:
            self._watch.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    async def _stream(self, held: bytes) -> AsyncIterator[bytes]:
        if held:
            yield held
        while self._is_reading:
            try:
                yield await self._read_chunk()
            except PredictionRefused as refusal:
                # Kept, because it ends the connection to the instance, which is what is seen first.
                self._refusal = refusal
                raise

    async def _read_chunk(self) -> bytes:
        message = await self._receive_part()
        if message["type"] == "http.disconnect":
            self._is_gone = True
            raise CallerGone
        chunk: bytes = message.get("body", b"")
        self._received_bytes += len(chunk)
        if self._received_bytes > self.limits.max_body_bytes:
            raise body_too_large(self.limits.max_body_bytes)
        self._is_reading = message.get("more_body", False)
        if not self._is_reading:
            self._watch = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._start_watching)
        return chunk

    async def _receive_part(self) -> Message:
        """The next part; what it waits for counts against the caller, and what happens to the part does not."""
        loop = asyncio.get_running_loop()
        if self._received_bytes:
            left = self.limits.timeout_seconds + self._received_bytes / SLOWEST_BYTES_A_SECOND - self._waited_seconds
            self._postpone(min(left, self.limits.timeout_seconds))
        self._is_waiting, started_at = True, loop.time()
        message = await self.receive()
        self._is_waiting = False
        waited = loop.time() - started_at
        self._waited_seconds += waited
        if waited > SHORT_WAIT_SECONDS:
            self._postpone(self.limits.timeout_seconds)
        return message

    def _start_watching(self) -> None:
        self._watcher = asyncio.create_task(self._watch_for_departure())

    async def _watch_for_departure(self) -> None:
        # After the body's end the only message left is that the caller went away.
        if (await self.receive())["type"] != "http.disconnect":
            return
        self._is_gone = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _postpone(self, seconds: float) -> None:
        if self._limit is not None and not self._limit.expired() and not self._is_gone:
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _start(self, status: int, headers: Headers) -> None:
        headers += [*GUARDS, (b"x-request-id", self.head.request_id.encode())]
        if status in BODYLESS_STATUSES:
            headers = [header for header in headers if header[0] != b"content-length"]
        self._is_started = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def _send_part(self, body: bytes, *, is_last: bool) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": not is_last})
