"""What is counted, and who may read it."""

import asyncio

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from server.metrics import GraphqlMetrics, OperationKind, metrics_route
from server.prediction_metrics import PredictionMetrics
from server.route import Instance
from server.sign_in_cache import SignInCache
from tests.deadline import eventually
from tests.gateway_house import House, answered
from tests.routes import OURS, THEIRS, Tokens, service, target
from tests.serving import page

pytest_plugins = ("tests.gateway_fixture",)


async def test_calls_are_counted_until_the_service_is_gone(home: House) -> None:
    await home.one()
    for path in ("/", "/fail", "/die-early"):
        await answered(home, path)
    labels = {"workspace": str(OURS), "service": "svc_one", "version": "ver_1"}
    value = home.registry.get_sample_value
    assert value("modelyard_predictions_total", labels) == 3
    assert value("modelyard_prediction_failures_total", labels | {"reason": "status"}) == 1
    assert value("modelyard_prediction_failures_total", labels | {"reason": "connection"}) == 1
    assert value("modelyard_prediction_seconds_count", labels) == 3
    assert value("modelyard_predictions_in_flight", labels) == 0
    await home.swap()
    await eventually(lambda: value("modelyard_predictions_total", labels) is None)
    assert not [sample for metric in home.registry.collect() for sample in metric.samples if "service" in sample.labels]


async def test_calls_that_met_no_ready_instance_are_not_counted(home: House) -> None:
    await home.swap(service("svc_one", targets=[target("ver_1", 100)]))
    assert await answered(home, "/") == 503
    assert home.registry.get_sample_value("modelyard_predictions_total", {"service": "svc_one"}) is None


async def test_a_service_that_cannot_be_reached_fails_its_calls(home: House) -> None:
    _, living = await home.replica("a")
    dead = Instance(id="ins_dead", address=f"unix:{home.directory}/none")
    labels = {"workspace": str(OURS), "service": "svc_one", "version": "ver_1"}
    await home.route(dead, living)
    assert [await answered(home, "/") for _ in range(3)] == [200] * 3
    assert failures(home, labels) == [0, 0, 0]
    await home.route(dead)
    assert await answered(home, "/") == 503
    assert failures(home, labels) == [0, 1, 0]
    assert home.registry.get_sample_value("modelyard_predictions_total", labels) == 4


def failures(home: House, labels: dict[str, str]) -> list[float | None]:
    family = "modelyard_prediction_failures_total"
    reasons = [labels | {"reason": reason} for reason in ("status", "connection", "timeout")]
    return [home.registry.get_sample_value(family, reason) for reason in reasons]


async def test_a_caller_that_leaves_is_no_failure(home: House) -> None:
    replica = await home.one()
    task = asyncio.create_task(answered(home, "/hold"))
    await eventually(lambda: replica.calls == 1)
    task.cancel()
    labels = {"workspace": str(OURS), "service": "svc_one", "version": "ver_1"}
    await eventually(lambda: home.registry.get_sample_value("modelyard_predictions_in_flight", labels) == 0)
    assert failures(home, labels) == [0, 0, 0]


async def test_the_metrics_page_shows_a_reader_its_own_workspaces() -> None:
    registry = CollectorRegistry()
    metrics = PredictionMetrics(registry)
    metrics.of("svc_ours", OURS, "ver_1").enter()
    metrics.of("svc_theirs", THEIRS, "ver_2").enter()
    GraphqlMetrics(registry).count(OperationKind.QUERY, seconds=0.1, has_errors=False)
    app = Starlette(routes=[metrics_route(registry, sign_in=SignInCache(Tokens()).workspaces_of)])
    assert (await page(app, "/metrics"))[0] == 401
    assert (await page(app, "/metrics", authorization="Bearer wrong"))[0] == 401
    status, text = await page(app, "/metrics", authorization="Bearer ours")
    assert status == 200
    assert 'modelyard_graphql_requests_total{kind="query",outcome="ok"} 1.0' in text
    assert "svc_ours" in text
    assert "svc_theirs" not in text
    public = Starlette(routes=[metrics_route(registry, sign_in=None)])
    assert "svc_theirs" in (await page(public, "/metrics"))[1]
