"""What is counted, and the page a Prometheus server reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from uuid import UUID

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from resolvers.latency import LATENCY_BUCKETS_SECONDS

SignInByHeader = Callable[[bytes], Awaitable[frozenset[UUID]]]


class OperationKind(StrEnum):
    """A GraphQL request by its operation; INVALID where none could be executed."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"
    INVALID = "invalid"


class GraphqlMetrics:
    """GraphQL requests by kind of operation and outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "modelyard_graphql_requests", "GraphQL operations.", ("kind", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "modelyard_graphql_seconds",
            "Time to answer a GraphQL operation; of a subscription, to its first event.",
            ("kind",),
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=registry,
        )

    def count(self, kind: OperationKind, *, seconds: float, has_errors: bool) -> None:
        """Record one answered operation; `has_errors` where the response carries top-level errors."""
        self._requests.labels(kind, "errors" if has_errors else "ok").inc()
        self._seconds.labels(kind).observe(seconds)


def metrics_route(registry: CollectorRegistry, *, sign_in: SignInByHeader | None, path: str = "/metrics") -> Route:
    """The page in Prometheus' text format. `sign_in` maps an Authorization header's value to workspaces; None: public.

    A signed-in reader sees only the series of its own workspaces, and those that belong to none.
    """

    async def read_metrics(request: Request) -> Response:
        if sign_in is None:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        workspaces = await sign_in(request.headers.get("authorization", "").encode("latin-1"))
        if not workspaces:
            return PlainTextResponse("Sign in.", 401, headers={"www-authenticate": "Bearer"})
        visible = _VisibleMetrics(registry, frozenset(map(str, workspaces)))
        return Response(generate_latest(visible), media_type=CONTENT_TYPE_LATEST)

    return Route(path, read_metrics, methods=["GET"])


class _VisibleMetrics(CollectorRegistry):
    """A registry without the series of workspaces other than those given."""

    def __init__(self, registry: CollectorRegistry, workspaces: frozenset[str]) -> None:
        super().__init__()
        self._whole = registry
        self._workspaces = workspaces

    def collect(self) -> Iterator[Metric]:
        for metric in self._whole.collect():
            visible = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            visible.samples = [sample for sample in metric.samples if self._is_visible(sample.labels)]
            yield visible

    def _is_visible(self, labels: dict[str, str]) -> bool:
        return "workspace" not in labels or labels["workspace"] in self._workspaces
