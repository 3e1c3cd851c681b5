"""What a service goes through, as events: the order of a start, deaths of instances, and how they are found."""

from typing import Any

from tests.api import Api, wait_for
from tests.services import act, deploy, events_of, import_version, package, running, target

EVENTS = """query ($filter: AuditEventFilter) {
  auditEvents(filter: $filter, first: 100) { nodes { number kind isAbnormal actor data } }
}"""
OF_SERVICE = "id auditEvents(filter: { isAbnormal: %s }, first: 100) { nodes { kind isAbnormal data } }"
STARTED = [
    "SERVICE_DEPLOY_REQUESTED",
    "SERVICE_INSTANCE_SCHEDULED",
    "SERVICE_MODEL_FETCHING",
    "SERVICE_MODEL_FETCHED",
    "SERVICE_ENVIRONMENT_PREPARING",
    "SERVICE_ENVIRONMENT_PREPARED",
    "SERVICE_INSTANCE_STARTING",
    "SERVICE_INSTANCE_READY",
    "SERVICE_RUNNING",
]
DIES = "import os\nprint('about to die', flush=True)\nos._exit(7)"


async def found(api: Api, **restrictions: Any) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = (await api.ask(EVENTS, filter=restrictions))["auditEvents"]["nodes"]
    return nodes


async def test_a_start_is_told_in_the_order_in_which_it_goes(api: Api) -> None:
    version = await import_version(api, package("return 1"))
    service = await running(api, "iris", target(version))
    assert await events_of(api, service) == STARTED
    of_service = await found(api, subjectId=service["id"])
    assert [event["kind"] for event in reversed(of_service)] == STARTED
    data = {event["kind"]: event["data"] for event in of_service}
    assert data["SERVICE_MODEL_FETCHED"] == {"model": "iris", "version": version}
    assert data["SERVICE_INSTANCE_READY"]["instance"] == 1
    assert not any(event["isAbnormal"] for event in of_service)

    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    assert (await events_of(api, service))[len(STARTED) :] == ["SERVICE_STOP_REQUESTED", "SERVICE_STOPPED"]


async def test_instances_that_die_are_abnormal_and_found_so(api: Api) -> None:
    version = await import_version(api, package("return 1", constructor=DIES))
    service = await deploy(api, "iris", target(version))
    await api.service_in("iris", "FAILED")

    async def has_died_twice() -> bool:
        return (await events_of(api, service)).count("SERVICE_INSTANCE_DIED") >= 2

    await wait_for(has_died_twice)
    abnormal = (await api.service("iris", OF_SERVICE % "true"))["auditEvents"]["nodes"]
    assert {event["kind"] for event in abnormal} == {"SERVICE_INSTANCE_DIED", "SERVICE_FAILED"}
    assert all(event["isAbnormal"] for event in abnormal)
    assert "about to die" in abnormal[-1]["data"]["message"]
    normal = (await api.service("iris", OF_SERVICE % "false"))["auditEvents"]["nodes"]
    assert "SERVICE_DEPLOY_REQUESTED" in {event["kind"] for event in normal}
    assert not any(event["isAbnormal"] for event in normal)
    both = {(event["number"], event["kind"]) for event in await found(api, subjectId=service["id"])}
    assert {kind for _, kind in both} >= {event["kind"] for event in [*abnormal, *normal]}
    assert all(event["isAbnormal"] for event in await found(api, isAbnormal=True))


async def test_a_subject_that_is_no_id_is_told(api: Api) -> None:
    answer = await api.send(EVENTS, filter={"subjectId": "iris"})
    assert "is not an id here" in answer["errors"][0]["message"]
