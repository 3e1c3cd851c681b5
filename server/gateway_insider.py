"""The gateway's caller within our own code: a whole body in, a whole answer out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from engines.instance_connection import Headers, InstanceConnection
from server.prediction_body import BUFFERED_BYTES, Body, in_parts
from server.prediction_refusal import PredictionRefused, RefusalCode, body_too_large
from server.service_policy import Limits


class Prediction(NamedTuple):
    """An instance's whole answer; header names are lower-case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Insider:
    """Our own code as the caller."""

    is_to_blame = False

    def __init__(self, body: bytes, *, limits: Limits) -> None:
        self._body = body
        self.limits = limits
        self._answer: Prediction | None = None

    @property
    def prediction(self) -> Prediction:
        assert self._answer is not None
        return self._answer

    async def read_body(self, limit: asyncio.Timeout) -> Callable[[], Body]:
        if len(self._body) > self.limits.max_body_bytes:
            raise body_too_large(self.limits.max_body_bytes)
        is_short = len(self._body) <= BUFFERED_BYTES
        return lambda: self._body if is_short else in_parts(self._body)

    async def take(self, response: InstanceConnection, headers: Headers) -> None:
        chunks, size = [], 0
        async for chunk in response.parts():
            chunks.append(chunk)
            size += len(chunk)
            if size > self.limits.max_body_bytes:
                raise PredictionRefused(
                    RefusalCode.INSTANCE_FAILED, f"The answer is longer than {self.limits.max_body_bytes} bytes."
                )
        text = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        self._answer = Prediction(response.status, text, b"".join(chunks))

    def interruption(self, refusal: PredictionRefused) -> Exception:
        return refusal

    def close(self) -> None:
        return
