"""What predictions cost, minute by minute, on its way into the database."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from resolvers.latency import LATENCY_BUCKETS_SECONDS

FLUSH_SECONDS = 5.0
CLOSE_SECONDS = 3.0
WRITTEN_AT_ONCE = 500
# A row takes about 600 bytes: at most 12 MB wait while the database is away.
MOST_ROWS = 20_000
MINUTE_SECONDS = 60

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class MinuteKey(NamedTuple):
    """Of no version: what was refused before one was drawn. `minute` counts minutes since 1970."""

    workspace_id: UUID
    service_id: str
    version_id: str | None
    minute: int

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.minute * MINUTE_SECONDS, UTC)


@dataclass(slots=True)
class Tally:
    """`latency_counts`: by the bounds of LATENCY_BUCKETS_SECONDS, and those beyond the last."""

    calls: int = 0
    failures: int = 0
    refusals: int = 0
    seconds: float = 0.0
    most_in_flight: int = 0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_SECONDS) + 1))

    def add(self, other: Tally) -> None:
        self.calls += other.calls
        self.failures += other.failures
        self.refusals += other.refusals
        self.seconds += other.seconds
        self.most_in_flight = max(self.most_in_flight, other.most_in_flight)
        self.latency_counts = [own + more for own, more in zip(self.latency_counts, other.latency_counts, strict=True)]


class UnderWay(NamedTuple):
    """How many calls of a version wait for an instance now."""

    workspace_id: UUID
    service_id: str
    version_id: str
    in_flight: int


class MinuteStore(Protocol):
    """Where counts are kept."""

    async def add(self, tallies: Sequence[tuple[MinuteKey, Tally]]) -> None:
        """Add them to what is there."""

    async def show(self, under_way: Sequence[UnderWay]) -> None:
        """Say what is under way now: this, and nothing else."""


class MinuteTallies:
    """Counts in memory; `follow` hands them to the store every few seconds.

    Where the store fails they stay, up to MOST_ROWS rows; then the oldest are dropped. A write whose outcome is not
    known is repeated: rather twice than not at all.
    """

    def __init__(self, store: MinuteStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[MinuteKey, Tally] = {}
        self._dropped_rows = 0

    def call(
        self, workspace_id: UUID, service_id: str, version_id: str, *, seconds: float, is_failure: bool, in_flight: int
    ) -> None:
        """Count a call that an instance got; with it, `in_flight` of its version were under way at most."""
        tally = self._tally(MinuteKey(workspace_id, service_id, version_id, self._minute()))
        tally.calls += 1
        tally.failures += is_failure
        tally.seconds += seconds
        tally.latency_counts[bisect_left(LATENCY_BUCKETS_SECONDS, seconds)] += 1
        tally.most_in_flight = max(tally.most_in_flight, in_flight)

    def refusal(self, workspace_id: UUID, service_id: str) -> None:
        """Count a request that no instance got."""
        self._tally(MinuteKey(workspace_id, service_id, None, self._minute())).refusals += 1

    async def follow(self, under_way: Callable[[], Sequence[UnderWay]]) -> None:
        """Write every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush(under_way())

    async def close(self) -> None:
        """Write what is left, unless that takes too long."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("predictions not counted", rows=len(self._waiting), reason="the database did not answer")

    async def flush(self, under_way: Sequence[UnderWay] = ()) -> None:
        """Write what waits; what cannot be written waits on."""
        rows = list(self._waiting.items())
        self._waiting = {}
        written = 0
        try:
            while written < len(rows):
                await self._store.add(rows[written : written + WRITTEN_AT_ONCE])
                written += WRITTEN_AT_ONCE
            await self._store.show(under_way)
        except Exception as error:  # whatever the store fails with, predictions go on
            log.warning("counts of predictions not written", rows=len(rows) - written, error=repr(error))
        finally:
            self._put_back(rows[written:])

    def _put_back(self, rows: Sequence[tuple[MinuteKey, Tally]]) -> None:
        newer, self._waiting = self._waiting, dict(rows)
        for key, tally in newer.items():
            self._tally(key).add(tally)

    def _tally(self, key: MinuteKey) -> Tally:
        known = self._waiting.get(key)
        if known is None:
            if len(self._waiting) >= MOST_ROWS:
                self._drop_oldest()
            known = self._waiting[key] = Tally()
        return known

    def _drop_oldest(self) -> None:
        del self._waiting[next(iter(self._waiting))]
        self._dropped_rows += 1
        if self._dropped_rows % MOST_ROWS == 1:
            log.error("counts of predictions dropped", rows=self._dropped_rows)

    def _minute(self) -> int:
        return int(self._clock()) // MINUTE_SECONDS
