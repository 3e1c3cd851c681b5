"""What was counted of a service's predictions: totals, by version, and over time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from asyncpg import Record

from db import prediction_minute
from resolvers.installation import Installation
from resolvers.latency import LATENCY_BUCKETS_SECONDS, percentile_seconds

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS: Final = 1000.0
DELETED_AT_ONCE: Final = 10_000


class MetricsWindow(StrEnum):
    """How far back, until now."""

    LAST_15_MINUTES = "LAST_15_MINUTES"
    LAST_HOUR = "LAST_HOUR"
    LAST_DAY = "LAST_DAY"
    LAST_WEEK = "LAST_WEEK"
    LAST_MONTH = "LAST_MONTH"


# The points of each window: how long each lasts, and how many there are. The last one is still under way.
POINTS: Final = MappingProxyType(
    {
        MetricsWindow.LAST_15_MINUTES: (timedelta(minutes=1), 15),
        MetricsWindow.LAST_HOUR: (timedelta(minutes=1), 60),
        MetricsWindow.LAST_DAY: (timedelta(minutes=15), 96),
        MetricsWindow.LAST_WEEK: (timedelta(hours=2), 84),
        MetricsWindow.LAST_MONTH: (timedelta(hours=8), 90),
    }
)


@dataclass(slots=True)
class Counts:
    """`latency_counts` has one number for each of the buckets of latency, and one for what took longer."""

    call_count: int = 0
    failure_count: int = 0
    refusal_count: int = 0
    latency_seconds_sum: float = 0.0
    most_in_flight: int = 0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_SECONDS) + 1))

    def add(self, row: Record) -> None:
        self.call_count += row["call_count"]
        self.failure_count += row["failure_count"]
        self.refusal_count += row["refusal_count"]
        self.latency_seconds_sum += row["latency_seconds_sum"]
        self.most_in_flight = max(self.most_in_flight, row["most_in_flight"])
        self.latency_counts = [own + more for own, more in zip(self.latency_counts, row["latency_counts"], strict=True)]

    def latency_milliseconds(self, share: float) -> float | None:
        """Estimated; None where there was no call."""
        seconds = percentile_seconds(self.latency_counts, share)
        return None if seconds is None else seconds * MILLISECONDS

    @property
    def mean_milliseconds(self) -> float | None:
        return self.latency_seconds_sum / self.call_count * MILLISECONDS if self.call_count else None


@dataclass(frozen=True, slots=True)
class Metrics:
    """`series` covers the window without gaps, the oldest first; `versions` are those that there was something of."""

    started_at: datetime
    step: timedelta
    total: Counts
    versions: dict[UUID, Counts]
    series: Sequence[tuple[datetime, Counts]]
    in_flight: dict[UUID, int]


async def service_metrics(
    installation: Installation, workspace_id: UUID, service_id: UUID, window: MetricsWindow, *, now: datetime
) -> Metrics:
    """Two statements, whatever the window."""
    step, count = POINTS[window]
    newest = now - (now - EPOCH) % step
    starts = [newest - step * (count - 1 - number) for number in range(count)]
    async with installation.reading_pool.reading() as connection:
        rows = await prediction_minute.sums(connection, workspace_id, service_id, since=starts[0], step=step)
        in_flight = await prediction_minute.in_flight(connection, workspace_id, service_id)
    return _gathered(rows, starts, step, in_flight)


def _gathered(rows: Sequence[Record], starts: Sequence[datetime], step: timedelta, busy: dict[UUID, int]) -> Metrics:
    total, versions = Counts(), {version_id: Counts() for version_id in busy}
    points = {start: Counts() for start in starts}
    for row in rows:
        total.add(row)
        # A gateway whose clock is ahead counts for the newest point.
        points[min(row["started_at"], starts[-1])].add(row)
        if row["model_version_id"] is not None:
            versions.setdefault(row["model_version_id"], Counts()).add(row)
    return Metrics(starts[0], step, total, versions, list(points.items()), busy)


async def discard_old_metrics(installation: Installation) -> int:
    """Forget what was counted longer ago than the operator wants it kept: how many rows."""
    await prediction_minute.delete_silent(installation.pool)
    days, count = installation.rules.metric_days, 0
    while True:
        deleted = await prediction_minute.delete_old(installation.pool, days=days, limit=DELETED_AT_ONCE)
        count += deleted
        if deleted < DELETED_AT_ONCE:
            return count
