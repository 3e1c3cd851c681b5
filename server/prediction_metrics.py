"""What is counted of predictions, by service and version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from resolvers.latency import LATENCY_BUCKETS_SECONDS
from server.prediction_minute import MinuteTallies, UnderWay
from server.prediction_refusal import RefusalCode
from server.route import Route

SERVICE_LABELS = ("workspace", "service")
VERSION_LABELS = (*SERVICE_LABELS, "version")


class FailureReason(StrEnum):
    """Why a call that was sent to an instance failed."""

    STATUS = "status"
    CONNECTION = "connection"
    TIMEOUT = "timeout"


@dataclass(slots=True)
class VersionMetrics:
    """The series of one version of a service. Calls that found no ready instance are not counted, as in ModelArts."""

    workspace_id: UUID
    service_id: str
    version_id: str
    calls: Counter
    failures: dict[FailureReason, Counter]
    seconds: Histogram
    minutes: MinuteTallies | None
    in_flight: int = 0
    most_in_flight: int = 0

    def enter(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def leave(self) -> None:
        """End what was begun without counting it: another version answers."""
        self.in_flight -= 1

    def finish(self, seconds: float, failure: FailureReason | None) -> None:
        self.calls.inc()
        self.seconds.observe(seconds)
        if failure is not None:
            self.failures[failure].inc()
        if self.minutes is not None:
            key = (self.workspace_id, self.service_id, self.version_id)
            self.minutes.call(*key, seconds=seconds, is_failure=failure is not None, in_flight=self.most_in_flight)
        self.leave()
        self.most_in_flight = self.in_flight


@dataclass(slots=True)
class _Service:
    workspace_id: UUID
    versions: dict[str, VersionMetrics] = field(default_factory=dict)
    refusals: dict[RefusalCode, Counter] = field(default_factory=dict)


class PredictionMetrics:
    """Calls, failures, latency and requests in flight of each version of each service, and refusals of each service."""

    def __init__(self, registry: CollectorRegistry, *, minutes: MinuteTallies | None = None) -> None:
        self._minutes = minutes
        self._calls = Counter("modelyard_predictions", "Calls that an instance got.", VERSION_LABELS, registry=registry)
        self._failures = Counter(
            "modelyard_prediction_failures",
            "Calls that an instance failed: an error status, a broken connection or the time limit.",
            (*VERSION_LABELS, "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            "modelyard_prediction_seconds",
            "Time from sending a call to the end of its response.",
            VERSION_LABELS,
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "modelyard_predictions_in_flight", "Calls that wait for an instance.", VERSION_LABELS, registry=registry
        )
        self._refusals = Counter(
            "modelyard_prediction_refusals",
            "Requests that the gateway refused by a limit or a check of the service.",
            (*SERVICE_LABELS, "code"),
            registry=registry,
        )
        self._services: dict[str, _Service] = {}

    def of(self, service_id: str, workspace_id: UUID, version_id: str) -> VersionMetrics:
        """The series of a version of a service, made at its first call."""
        service = self._services.get(service_id)
        known = service.versions.get(version_id) if service is not None else None
        return known or self._add(service_id, workspace_id, version_id)

    def refused(self, service_id: str, workspace_id: UUID, code: RefusalCode) -> None:
        """Count a request that was not passed on."""
        service = self._services.setdefault(service_id, _Service(workspace_id))
        if code not in service.refusals:
            service.refusals[code] = self._refusals.labels(str(workspace_id), service_id, code)
        service.refusals[code].inc()
        if self._minutes is not None:
            self._minutes.refusal(workspace_id, service_id)

    def under_way(self) -> list[UnderWay]:
        """The versions that are asked at this moment."""
        versions = (version for service in self._services.values() for version in service.versions.values())
        return [
            UnderWay(version.workspace_id, version.service_id, version.version_id, version.in_flight)
            for version in versions
            if version.in_flight
        ]

    def keep(self, routes: Iterable[Route]) -> None:
        """Forget every service and version but these, so that removed ones leave no series behind."""
        kept = {route.service_id: {target.model_version_id for target in route.targets} for route in routes}
        for service_id, service in list(self._services.items()):
            for version_id in service.versions.keys() - kept.get(service_id, set()):
                self._remove(service.versions.pop(version_id))
            if service_id not in kept:
                del self._services[service_id]
                for code in service.refusals:
                    self._refusals.remove(str(service.workspace_id), service_id, code)

    def _add(self, service_id: str, workspace_id: UUID, version_id: str) -> VersionMetrics:
        labels = (str(workspace_id), service_id, version_id)
        series = VersionMetrics(
            workspace_id,
            service_id,
            version_id,
            calls=self._calls.labels(*labels),
            failures={reason: self._failures.labels(*labels, reason) for reason in FailureReason},
            seconds=self._seconds.labels(*labels),
            minutes=self._minutes,
        )
        self._in_flight.labels(*labels).set_function(lambda: series.in_flight)
        self._services.setdefault(service_id, _Service(workspace_id)).versions[version_id] = series
        return series

    def _remove(self, version: VersionMetrics) -> None:
        labels = (str(version.workspace_id), version.service_id, version.version_id)
        for family in (self._calls, self._seconds, self._in_flight):
            family.remove(*labels)
        for reason in FailureReason:
            self._failures.remove(*labels, reason)
