"""What was counted of a service's predictions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from gql.context import Info
from gql.described_enum import described_enum
from gql.scalar import BigInt
from gql.stored_field import by_key
from gql.stored_row import StoredRow
from resolvers.service_metrics import Counts, Metrics, MetricsWindow, service_metrics

if TYPE_CHECKING:
    from gql.model_version import ModelVersion

described_enum(
    MetricsWindow,
    description="How far back predictions are counted, until now.",
    values={
        "LAST_15_MINUTES": "15 points of a minute each.",
        "LAST_HOUR": "60 points of a minute each.",
        "LAST_DAY": "96 points of 15 minutes each.",
        "LAST_WEEK": "84 points of 2 hours each.",
        "LAST_MONTH": "90 points of 8 hours each.",
    },
)


@strawberry.type(description="Predictions of a service within a stretch of time.")
class MetricsPoint:
    started_at: datetime = strawberry.field(description="When the stretch begins.")
    call_count: BigInt = strawberry.field(description="Calls that an instance got and that ended in it.")
    failure_count: BigInt = strawberry.field(description="Those of them that failed.")
    refusal_count: BigInt = strawberry.field(description="Requests that a limit or a check of the service refused.")
    latency_mean_milliseconds: float | None = strawberry.field(description="Mean time to answer; null without a call.")
    latency_p50_milliseconds: float | None = strawberry.field(
        description="Within which half of the calls were answered, estimated."
    )
    latency_p90_milliseconds: float | None = strawberry.field(
        description="Within which nine of ten calls were answered, estimated."
    )
    latency_p99_milliseconds: float | None = strawberry.field(
        description="Within which 99 of 100 calls were answered, estimated."
    )
    most_in_flight: int = strawberry.field(
        description="The most calls of one version that were under way at once in one gateway."
    )

    @classmethod
    def at(cls, started_at: datetime, counts: Counts) -> MetricsPoint:
        return cls(
            started_at=started_at,
            call_count=BigInt(counts.call_count),
            failure_count=BigInt(counts.failure_count),
            refusal_count=BigInt(counts.refusal_count),
            latency_mean_milliseconds=counts.mean_milliseconds,
            latency_p50_milliseconds=counts.latency_milliseconds(0.5),
            latency_p90_milliseconds=counts.latency_milliseconds(0.9),
            latency_p99_milliseconds=counts.latency_milliseconds(0.99),
            most_in_flight=counts.most_in_flight,
        )


@strawberry.type(description="Predictions of one version within a window.")
class ServiceVersionMetrics:
    model_version: Annotated[ModelVersion, strawberry.lazy("gql.model_version")] | None = by_key(
        "version_id", description="The version; null where it is no longer there."
    )
    total: MetricsPoint = strawberry.field(description="All of the window.")
    in_flight: int = strawberry.field(description="Calls that are under way now.")
    version_id: strawberry.Private[UUID]


@strawberry.type(
    description="Predictions within a window. Gateways add what they counted every few seconds. Calls that met no "
    "ready instance are not counted."
)
class ServiceMetrics:
    window: MetricsWindow = strawberry.field(description="The window.")
    total: MetricsPoint = strawberry.field(description="All of the window.")
    in_flight: int = strawberry.field(description="Calls that are under way now.")
    versions: list[ServiceVersionMetrics] = strawberry.field(description="By the version that was asked.")
    series: list[MetricsPoint] = strawberry.field(
        description="Over time, the oldest first and without gaps; the last point is still under way."
    )
    point_seconds: int = strawberry.field(description="How long each point of the series lasts.")

    @classmethod
    def of(cls, window: MetricsWindow, metrics: Metrics) -> ServiceMetrics:
        return cls(
            window=window,
            total=MetricsPoint.at(metrics.started_at, metrics.total),
            in_flight=sum(metrics.in_flight.values()),
            versions=[
                ServiceVersionMetrics(
                    total=MetricsPoint.at(metrics.started_at, counts),
                    in_flight=metrics.in_flight.get(version_id, 0),
                    version_id=version_id,
                )
                for version_id, counts in metrics.versions.items()
            ],
            series=[MetricsPoint.at(started_at, counts) for started_at, counts in metrics.series],
            point_seconds=int(metrics.step.total_seconds()),
        )


async def metrics_of(
    root: StoredRow,
    info: Info,
    window: Annotated[MetricsWindow, strawberry.argument(description="How far back.")] = MetricsWindow.LAST_HOUR,
) -> ServiceMetrics:
    context = info.context
    found = await service_metrics(
        context.installation, context.workspace_id, root.column("id"), window, now=datetime.now(UTC)
    )
    return ServiceMetrics.of(window, found)
