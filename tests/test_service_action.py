"""What may be asked of a service and when, and the rules of what can be said of one: nothing runs here."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from resolvers.service import (
    ACTIONS,
    CHANGE_SETTINGS,
    DELETE,
    RESTART,
    ROLL_BACK,
    START,
    STOP,
    UPDATE,
    Action,
    ServiceDesiredState,
    ServiceStatus,
)
from server.settings import CHECKOUT, Placement
from tests.api import Api, RunningServer, running_server
from tests.packages import import_package, mxnet_package
from tests.services import act, deploy, events_of, key_of, target

SETTINGS = """description access maxBodyBytes timeoutSeconds requestsPerSecond requestBurst checksInputs
    autoStop { afterSeconds stopsAt } revision lastConfiguration: configurations(first: 1) { nodes { number } }"""
# As docs/services.md names them.
ASKED: dict[str, tuple[Action, str]] = {
    "`startService`": (START, "startService"),
    "`stopService`": (STOP, "stopService"),
    "`deleteService`": (DELETE, "deleteService"),
    "`updateRealTimeService` with `targets`": (UPDATE, "updateRealTimeService"),
    "`rollBackService`": (ROLL_BACK, "rollBackService"),
    "`restartService`": (RESTART, "restartService"),
    "`updateRealTimeService` without `targets`": (CHANGE_SETTINGS, "updateRealTimeService"),
}


@pytest.fixture
async def resting(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[RunningServer]:
    """A server with a NORMAL version 0.0.1 of the model iris, and nobody who runs what is deployed."""
    async with running_server(pool, database_url, data_dir) as importing:
        await import_package(importing.client(), mxnet_package())
        # Of an engine that is to be had here: nothing runs, so nothing is built either.
        await pool.execute("UPDATE model_version SET ai_engine = 'SCIKIT_LEARN', runtime = 'python3.11'")
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        yield server


def documented() -> dict[str, set[str]]:
    """In which statuses docs/services.md says that each action is allowed."""
    lines = (CHECKOUT / "docs" / "services.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    (header,) = (row for row in rows if {"PENDING", "DELETING"} <= set(row))
    allowed = {row[0]: row[1:] for row in rows if len(row) == len(header) and row[0] in ASKED}
    return {
        name: {status for status, cell in zip(header[1:], cells, strict=True) if cell == "yes"}
        for name, cells in allowed.items()
    }


def test_the_documentation_says_which_action_is_allowed_when() -> None:
    assert {action for action, _ in ASKED.values()} == set(ACTIONS)
    assert documented() == {name: set(action.allowed_in) for name, (action, _) in ASKED.items()}


async def put_into(api: Api, service: dict[str, Any], status: ServiceStatus) -> None:
    desired = {"STOPPING": "STOPPED", "STOPPED": "STOPPED", "DELETING": "DELETED"}.get(status, "RUNNING")
    text = "UPDATE service SET status = $2, desired_state = $3, deleted_at = NULL WHERE id = $1"
    await api.pool.execute(text, key_of(service), status, ServiceDesiredState(desired))


async def test_each_action_is_allowed_in_its_statuses_and_refused_in_all_others(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"))
    await put_into(api, service, ServiceStatus.RUNNING)
    await act(api, "restartService", "iris")
    for action, mutation in ASKED.values():
        for status in ServiceStatus:
            await put_into(api, service, status)
            fields: dict[str, Any] = {"targets": [target("0.0.1")]} if action is UPDATE else {}
            if action is CHANGE_SETTINGS:
                fields = {"description": f"changed while it was {status}"}
            await check(api, mutation, fields, is_allowed=status in action.allowed_in)


async def check(api: Api, mutation: str, fields: dict[str, Any], *, is_allowed: bool) -> None:
    revision = (await api.service("iris"))["revision"]
    counted = await api.counts()
    payload = await api.mutate(mutation, "service { status }", serviceName="iris", **fields)
    if is_allowed:
        assert payload["errors"] == [], (mutation, payload)
        return
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["serviceName"]), mutation
    assert (await api.service("iris"))["revision"] == revision
    assert await api.counts() == counted


async def test_of_many_updates_with_the_same_revision_exactly_one_is_done(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"))
    await put_into(api, service, ServiceStatus.RUNNING)
    fields = {"serviceName": "iris", "expectedRevision": 1}
    updates = [
        api.mutate("updateRealTimeService", "__typename", targets=[target("0.0.1", instanceCount=1 + n % 5)], **fields)
        for n in range(200)
    ]
    codes = [[error["code"] for error in payload["errors"]] for payload in await asyncio.gather(*updates)]
    assert codes.count([]) == 1
    assert codes.count(["CONFLICT"]) == 199
    assert (await api.service("iris"))["revision"] == 2
    assert await api.count("service_configuration") == 2
    assert await events_of(api, service) == ["SERVICE_DEPLOY_REQUESTED", "SERVICE_UPDATE_REQUESTED"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("description", ("x" * 1001, "a\0b")),
        ("maxBodyBytes", (0, -1, (12 << 20) + 1)),
        ("timeoutSeconds", (0, -1.5, 0.000001, 0.099, 40.1)),
        ("requestsPerSecond", (0, -0.5, 0.009, 1_000_000.1, 1e308)),
        ("requestBurst", (0, -1, 1_000_001)),
        ("autoStopAfterSeconds", (0, 3599, 86401)),
    ],
)
async def test_each_setting_has_its_rule(api: Api, field: str, values: tuple[Any, ...]) -> None:
    unknown = target("0.0.1", model="nobody")
    for value in values:
        before = await api.counts()
        fields = {"requestsPerSecond": 1, field: value}
        errors = await api.refused("deployRealTimeService", name="iris", targets=[unknown], **fields)
        assert ["INVALID_INPUT", [field]] in [[error["code"], error["path"]] for error in errors], value
        assert await api.counts() == before


async def test_what_a_setting_may_be_is_told_and_allowed_to_its_bounds(api: Api) -> None:
    unknown = target("0.0.1", model="nobody")
    beyond = {"timeoutSeconds": 0.09, "requestsPerSecond": 0.001, "requestBurst": 1_000_001}
    errors = await api.refused("deployRealTimeService", name="iris", targets=[unknown], **beyond)
    assert {error["path"][0]: error["message"] for error in errors if error["code"] == "INVALID_INPUT"} == {
        "timeoutSeconds": "A prediction may take 0.1 to 40 s on this server.",
        "requestsPerSecond": "A service takes 0.01 to 1,000,000 requests a second.",
        "requestBurst": "A burst has 1 to 1,000,000 requests.",
    }
    for timeout, rate, burst in ((0.1, 0.01, 1), (40, 1_000_000, 1_000_000)):
        given = {"timeoutSeconds": timeout, "requestsPerSecond": rate, "requestBurst": burst}
        errors = await api.refused("deployRealTimeService", name="iris", targets=[unknown], **given)
        assert [error["code"] for error in errors] == ["NOT_FOUND"]
    assert await api.count("service") == 0


async def test_settings_change_without_another_configuration(resting: RunningServer) -> None:
    api = resting.client()
    await deploy(
        api,
        "iris",
        target("0.0.1"),
        description="first",
        access="PUBLIC",
        maxBodyBytes=1000,
        timeoutSeconds=2.5,
        requestsPerSecond=10,
        requestBurst=20,
        checksInputs=True,
        autoStopAfterSeconds=3600,
    )
    selection = f"... on RealTimeService {{ {SETTINGS} }}"
    before = await api.service("iris", selection)
    assert before["autoStop"]["afterSeconds"] == 3600
    assert before["autoStop"]["stopsAt"] is not None
    assert (before["access"], before["maxBodyBytes"], before["checksInputs"]) == ("PUBLIC", 1000, True)

    selection = f"service {{ {SETTINGS} updatedAt }}"
    fields: dict[str, Any] = {"serviceName": "iris", "description": None, "maxBodyBytes": None, "timeoutSeconds": 3}
    payload = await api.mutate("updateRealTimeService", selection, expectedRevision=1, **fields)
    changed = payload["service"]
    assert payload["errors"] == []
    assert (changed["description"], changed["maxBodyBytes"], changed["timeoutSeconds"]) == (None, None, 3.0)
    kept = ("access", "requestsPerSecond", "requestBurst", "checksInputs", "autoStop")
    assert {name: changed[name] for name in kept} == {name: before[name] for name in kept}
    assert changed["lastConfiguration"] == {"nodes": [{"number": 1}]}
    assert (changed["revision"], changed["updatedAt"]) == (2, None)

    payload = await api.mutate("updateRealTimeService", selection, serviceName="iris", timeoutSeconds=3)
    assert payload["service"]["revision"] == 2, "what it was already leaves no trace"
    cleared: dict[str, Any] = {"access": None, "checksInputs": None, "autoStopAfterSeconds": None}
    payload = await api.mutate("updateRealTimeService", selection, serviceName="iris", **cleared)
    found = payload["service"]
    assert (found["access"], found["checksInputs"], found["autoStop"]) == ("TOKEN", False, None)
    (error,) = await api.refused("updateRealTimeService", serviceName="iris", requestsPerSecond=None)
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["requestBurst"])


async def test_a_stop_and_a_start_move_the_time_of_the_next_stop(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"), autoStopAfterSeconds=3600)
    selection = "... on RealTimeService { autoStop { afterSeconds stopsAt } }"
    first = (await api.service("iris", selection))["autoStop"]
    await act(api, "stopService", "iris")
    assert (await api.service("iris", selection))["autoStop"] == {"afterSeconds": 3600, "stopsAt": None}
    await put_into(api, service, ServiceStatus.STOPPED)
    await act(api, "startService", "iris")
    assert (await api.service("iris", selection))["autoStop"]["stopsAt"] > first["stopsAt"]


async def test_a_configuration_to_go_back_to_must_be_an_earlier_one_of_the_service(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"))
    await put_into(api, service, ServiceStatus.RUNNING)
    before = await api.counts()
    for number, code, path in (
        (None, "NOT_FOUND", "serviceName"),
        (0, "NOT_FOUND", "configurationNumber"),
        (-1, "NOT_FOUND", "configurationNumber"),
        (2, "NOT_FOUND", "configurationNumber"),
        (1, "INVALID_INPUT", "configurationNumber"),
    ):
        (error,) = await api.refused("rollBackService", serviceName="iris", configurationNumber=number)
        assert (error["code"], error["path"]) == (code, [path]), number
    for mutation in ("rollBackService", "restartService"):
        (error,) = await api.refused(mutation, serviceName="iris", expectedRevision=7)
        assert error["code"] == "CONFLICT"
        (error,) = await api.refused(mutation, serviceName="nobody")
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["serviceName"])
    assert await api.counts() == before


async def test_a_configuration_whose_version_is_deleted_does_not_come_back(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"))
    await put_into(api, service, ServiceStatus.RUNNING)
    await act(api, "restartService", "iris")
    await api.pool.execute("UPDATE model_version SET deleted_at = now()")
    before = await api.counts()
    (error,) = await api.refused("rollBackService", serviceName="iris")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["configurationNumber"])
    assert "0.0.1" in error["message"]
    assert await api.counts() == before


async def test_a_repeated_request_changes_a_service_once(resting: RunningServer) -> None:
    api = resting.client()
    service = await deploy(api, "iris", target("0.0.1"))
    await put_into(api, service, ServiceStatus.RUNNING)
    for mutation, fields in (
        ("restartService", {}),
        ("rollBackService", {}),
        ("updateRealTimeService", {"description": "new"}),
    ):
        for _ in range(2):
            asked = await api.mutate(
                mutation, "service { revision }", serviceName="iris", idempotencyKey=mutation, **fields
            )
            assert asked["errors"] == []
        await put_into(api, service, ServiceStatus.RUNNING)
    assert asked["service"]["revision"] == 4
    assert await api.count("service_configuration") == 3


async def test_the_strict_rules_of_modelarts_limit_the_services_of_a_workspace(
    resting: RunningServer, pool: Pool, database_url: str, data_dir: Path
) -> None:
    await resting.client().ask("{ __typename }")
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE, strict_modelarts=True) as strict:
        api = strict.client()
        deployments = [
            api.mutate("deployRealTimeService", "__typename", name=f"service-{n}", targets=[target("0.0.1")])
            for n in range(23)
        ]
        payloads = await asyncio.gather(*deployments)
        codes = [error["code"] for payload in payloads for error in payload["errors"]]
        assert codes == ["LIMIT_REACHED"] * 3
        assert await api.count("service") == 20
