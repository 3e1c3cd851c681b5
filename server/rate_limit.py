"""How many requests a service takes in a second: a token bucket for each, in this process alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from server.service_policy import Policy


@dataclass(slots=True)
class _Bucket:
    """`tokens` as of `at`; it fills by the policy's rate up to its burst."""

    tokens: float
    at: float


class RateLimits:
    """The buckets of services. A service without a burst of its own may be asked for one second's requests at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, service_id: str, policy: Policy) -> float | None:
        """Let a request pass: None; or say in how many seconds the next one may."""
        rate = policy.requests_per_second
        if rate is None:
            return None
        burst = policy.request_burst or math.ceil(rate)
        now = self._clock()
        bucket = self._buckets.setdefault(service_id, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return None

    def keep(self, service_ids: Collection[str]) -> None:
        """Forget every service but these."""
        for service_id in self._buckets.keys() - set(service_ids):
            del self._buckets[service_id]
