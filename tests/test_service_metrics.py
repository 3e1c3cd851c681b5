"""How a service's predictions went, as GraphQL shows it; and what a service asks of the gateway, from end to end."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api import Api, wait_for
from tests.services import deploy, import_version, key_of, package, running, target

FAILS = "if data == 'fail':\n    raise ValueError('on purpose')\nreturn data"
POINT = """startedAt callCount failureCount refusalCount latencyMeanMilliseconds latencyP50Milliseconds
    latencyP90Milliseconds latencyP99Milliseconds mostInFlight"""
METRICS = f"""query ($name: String!, $window: MetricsWindow!) {{ service(by: {{name: $name}}) {{
    ... on RealTimeService {{ metrics(window: $window) {{
    window inFlight pointSeconds total {{ {POINT} }} series {{ {POINT} }}
    versions {{ modelVersion {{ version }} inFlight total {{ callCount failureCount }} }} }} }} }} }}"""
POINTS = {
    "LAST_15_MINUTES": (60, 15),
    "LAST_HOUR": (60, 60),
    "LAST_DAY": (900, 96),
    "LAST_WEEK": (7200, 84),
    "LAST_MONTH": (28_800, 90),
}
PAIR = {
    "url": "/",
    "method": "post",
    "request": {
        "Content-type": "application/json",
        "data": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
    },
    "response": {"Content-type": "application/json", "data": {"type": "object", "properties": {}}},
}


async def metrics_of(api: Api, name: str, window: str = "LAST_HOUR") -> Any:
    return (await api.ask(METRICS, name=name, window=window))["service"]["metrics"]


async def test_predictions_are_counted_by_version_and_over_time(api: Api) -> None:
    version = await import_version(api, package(FAILS))
    service = await running(api, "iris", target(version))
    asked_before = (await metrics_of(api, "iris"))["total"]["callCount"]
    for body in (1, 2, "fail"):
        await api.http.post(service["predictionUrl"], json=body)

    async def is_counted() -> Any:
        found = await metrics_of(api, "iris")
        return found if found["total"]["failureCount"] else None

    found = await wait_for(is_counted)
    total, (of_version,) = found["total"], found["versions"]
    assert total["callCount"] >= asked_before + 3
    assert total["failureCount"] == 1
    assert 0 < total["latencyP50Milliseconds"] <= total["latencyP90Milliseconds"] <= total["latencyP99Milliseconds"]
    assert total["mostInFlight"] == 1
    assert of_version["modelVersion"] == {"version": version}
    assert of_version["total"] == {"callCount": total["callCount"], "failureCount": 1}
    assert sum(point["callCount"] for point in found["series"]) == total["callCount"]
    quiet = found["series"][0]
    assert (quiet["callCount"], quiet["latencyP50Milliseconds"], quiet["latencyMeanMilliseconds"]) == (0, None, None)
    assert (found["inFlight"], of_version["inFlight"]) == (0, 0)


async def test_a_series_covers_its_window_without_gaps(api: Api) -> None:
    version = await import_version(api, package(FAILS))
    service = await deploy(api, "iris", target(version))
    await api.pool.execute(
        """INSERT INTO prediction_minute
        SELECT workspace_id, id, date_trunc('minute', now()) - ago, NULL, 10, 1, 2, 0.5,
            ARRAY[0, 10] || array_fill(0, ARRAY[14]), 3
        FROM service, unnest(ARRAY['2 minutes', '50 minutes', '20 hours', '6 days', '29 days', '31 days']::interval[])
            AS ago WHERE id = $1""",
        key_of(service),
    )
    for number, (window, (seconds, count)) in enumerate(POINTS.items()):
        found = await metrics_of(api, "iris", window)
        starts = [datetime.fromisoformat(point["startedAt"]) for point in found["series"]]
        assert (len(starts), found["pointSeconds"], found["window"]) == (count, seconds, window)
        assert {after - before for before, after in pairwise(starts)} == {timedelta(seconds=seconds)}
        assert found["total"]["startedAt"] == found["series"][0]["startedAt"]
        assert [found["total"][name] for name in ("callCount", "failureCount", "refusalCount")] == [
            times * (number + 1) for times in (10, 1, 2)
        ]
        assert 1 < found["total"]["latencyP50Milliseconds"] < 2.5
        assert abs(found["total"]["latencyMeanMilliseconds"] - 50) < 1e-9
        assert found["versions"] == []


async def test_nobody_else_sees_a_services_metrics(api: Api) -> None:
    version = await import_version(api, package(FAILS))
    service = await deploy(api, "iris", target(version))
    await api.pool.execute(
        "INSERT INTO prediction_minute SELECT gen_random_uuid(), $1, date_trunc('minute', now()), NULL, 1000, 0, 0, 0,"
        " array_fill(0, ARRAY[16]), 0",
        key_of(service),
    )
    assert (await metrics_of(api, "iris"))["total"]["callCount"] == 0


async def test_a_public_service_with_limits_and_checks_of_its_own(api: Api) -> None:
    version = await import_version(api, package("return data", apis=[PAIR]))
    limits = {"access": "PUBLIC", "maxBodyBytes": 1000, "timeoutSeconds": 5, "checksInputs": True}
    selection = "service { id openApiUrl predictionUrl }"
    payload = await api.mutate("deployRealTimeService", selection, name="iris", targets=[target(version)], **limits)
    assert payload["errors"] == [], payload
    await api.service_in("iris", "RUNNING")
    url = payload["service"]["predictionUrl"]
    async with httpx.AsyncClient() as anybody:

        async def is_reached() -> bool:
            return (await anybody.post(url, json={"x": 1})).status_code == 200

        await wait_for(is_reached)
        response = await anybody.post(url, json={"x": "one"})
        assert (response.status_code, response.json()["problems"][0]["pointer"]) == (400, "/x")
        assert (await anybody.post(url, content=b"x" * 1001)).status_code == 413
        document = (await anybody.get(payload["service"]["openApiUrl"])).json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"] == [{"url": url}]
    assert document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"] == ["x"]
    answered = await api.mutate("predict", "json latencyMilliseconds", serviceName="iris", json={"x": 1})
    assert (answered["json"], answered["latencyMilliseconds"] > 0) == ({"x": 1}, True)
    (error,) = await api.refused("predict", serviceName="iris", json={})
    assert '"x" is a required property' in error["message"]
