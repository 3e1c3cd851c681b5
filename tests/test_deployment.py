import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from tests.api import Api, RunningServer, running_server, wait_for
from tests.server_process import nothing_left
from tests.services import (
    ECHO,
    HANGS,
    LOGS,
    TELLS_TIME,
    act,
    ask,
    deploy,
    events_of,
    import_version,
    is_gone,
    log_of,
    package,
    pids,
    refusal_of,
    running,
    running_again,
    target,
)


async def test_a_service_is_deployed_asked_stopped_started_and_deleted(
    server: RunningServer, api: Api, data_dir: Path
) -> None:
    version = await import_version(api, package(ECHO, before=TELLS_TIME))
    deployed = await deploy(api, "iris", target(version))
    assert deployed["status"] == "DEPLOYING"
    service = await running_again(api, "iris")
    assert (service["status"], service["statusMessage"]) == ("RUNNING", None)
    assert [found["readyInstanceCount"] for found in service["targets"]] == [1]
    assert (service["operation"]["kind"], service["operation"]["state"]) == ("DEPLOY_SERVICE", "SUCCEEDED")
    assert await ask(api, service, {"a": 1}) == {"a": 1}
    assert len(pids(data_dir)) == 1

    assert (await act(api, "stopService", "iris"))["status"] == "STOPPING"
    stopped = await api.service_in("iris", "STOPPED")
    assert stopped["targets"][0]["instances"] == []
    assert pids(data_dir) == []
    status, answer = await refusal_of(api, service)
    assert (status, answer["code"]) == (503, "SERVICE_NOT_READY")
    assert "STOPPED" in answer["message"]
    (error,) = await api.refused("predict", serviceName="iris", json={})
    assert (error["code"], error["message"]) == ("SERVICE_NOT_RUNNING", "The service is STOPPED.")

    assert (await act(api, "startService", "iris"))["status"] == "DEPLOYING"
    await running_again(api, "iris")
    assert await ask(api, service, [1]) == [1]
    assert (await act(api, "deleteService", "iris"))["status"] == "DELETING"
    await wait_for(lambda: is_gone(api, "iris"))
    await wait_for(lambda: is_unknown(api, service))
    assert [line.startswith("hello at") for line in await stored_log(server.pool)].count(True) == 2
    assert pids(data_dir) == []
    again = await running(api, "iris", target(version))
    assert again["id"] != service["id"]
    assert await ask(api, again, 1) == 1


async def is_unknown(api: Api, service: Mapping[str, Any]) -> bool:
    return (await refusal_of(api, service))[0] == 404


async def stored_log(pool: Pool) -> list[str]:
    return [row["text"] for row in await pool.fetch("SELECT text FROM service_log_line ORDER BY number")]


async def test_a_deployment_can_be_stopped_and_deleted_while_it_loads(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(ECHO, before=HANGS))
    for name in ("stopped", "deleted"):
        await deploy(api, name, target(version))
        await wait_for(partial(has_printed, api, name, "loading"))
        assert (await api.service(name))["status"] == "DEPLOYING"
    await act(api, "stopService", "stopped")
    await act(api, "deleteService", "deleted")
    await api.service_in("stopped", "STOPPED", within_seconds=9)
    await wait_for(lambda: is_gone(api, "deleted"))
    assert pids(data_dir) == []


async def has_printed(api: Api, name: str, text: str) -> bool:
    return text in await log_of(api, name)


async def test_a_service_asked_to_stop_and_start_in_quick_succession_ends_as_last_asked(
    api: Api, data_dir: Path
) -> None:
    version = await import_version(api, package(ECHO))
    service = await deploy(api, "iris", target(version))
    for _ in range(3):
        await act(api, "stopService", "iris")
        await wait_for(lambda: is_started(api, "iris"))
    await api.service_in("iris", "RUNNING")
    await act(api, "stopService", "iris")
    await wait_for(lambda: is_started(api, "iris"))
    found = await running_again(api, "iris")
    assert await ask(api, {**service, **found}, 1) == 1
    assert len(pids(data_dir)) == 1
    assert "SERVICE_FAILED" not in await events_of(api, service)
    states = await api.pool.fetch("SELECT state FROM operation WHERE kind <> 'IMPORT_MODEL' ORDER BY id")
    assert {row["state"] for row in states[:-1]} <= {"CANCELLED", "SUCCEEDED"}
    await act(api, "stopService", "iris")
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))
    assert pids(data_dir) == []


async def is_started(api: Api, name: str) -> bool:
    """Whether the service takes a start: not while it is being stopped."""
    payload = await api.mutate("startService", "__typename", serviceName=name)
    assert [error["code"] for error in payload["errors"]] in ([], ["INVALID_STATE"])
    return not payload["errors"]


async def test_two_versions_share_the_predictions_by_their_weights(api: Api) -> None:
    versions = [await import_version(api, package("return os.environ['COLOUR']")) for _ in range(2)]
    colours: list[dict[str, Any]] = [
        {"environment": [{"name": "COLOUR", "value": colour}]} for colour in ("red", "green")
    ]
    service = await running(
        api, "iris", target(versions[0], weight=30, **colours[0]), target(versions[1], weight=70, **colours[1])
    )
    answers = Counter([await ask(api, service, {}) for _ in range(100)])
    assert answers.keys() == {"red", "green"}
    # Five standard deviations around 30.
    assert 7 <= answers["red"] <= 53
    seen: set[tuple[str, str]] = set()
    while len(seen) < 2:
        payload = await api.mutate("predict", "json modelVersion { version }", serviceName="iris", json={})
        seen.add((payload["json"], payload["modelVersion"]["version"]))
    assert seen == {("red", versions[0]), ("green", versions[1])}


async def test_a_version_of_weight_nought_runs_and_is_not_asked(api: Api) -> None:
    versions = [await import_version(api, package(f"return {number}")) for number in range(2)]
    service = await running(api, "iris", target(versions[0], weight=0), target(versions[1], weight=100))
    assert [found["readyInstanceCount"] for found in service["targets"]] == [1, 1]
    assert {await ask(api, service, {}) for _ in range(20)} == {1}


async def test_services_come_back_with_the_server(pool: Pool, database_url: str, data_dir: Path) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        version = await import_version(api, package("return os.environ['COLOUR']", before=TELLS_TIME))
        green: dict[str, Any] = {"environment": [{"name": "COLOUR", "value": "green"}]}
        service = await running(api, "iris", target(version, **green))
        await deploy(api, "resting", target(version))
        await act(api, "stopService", "resting")
        await api.service_in("resting", "STOPPED")
        before = (await api.service("iris", LOGS))["logs"]["nodes"]
    await nothing_left(data_dir)
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await wait_for(lambda: answers(api, service["id"], "green"))
        await api.service_in("iris", "RUNNING")
        after = (await api.service("iris", LOGS))["logs"]["nodes"]
        assert after[: len(before)] == before
        assert sum(line["text"].startswith("hello at") for line in after) == 2
        assert (await api.service("resting"))["status"] == "STOPPED"
        assert len(pids(data_dir)) == 1
    await nothing_left(data_dir)


async def answers(api: Api, service_id: str, expected: object) -> bool:
    """Whether the service answers so; until it does, it must say that it is not ready."""
    response = await api.http.post(f"/v1/infers/{service_id}", json={})
    assert response.status_code in (200, 503), response.text
    return bool(response.status_code == 200 and response.json() == expected)


@pytest.mark.slow
async def test_many_services_start_stop_and_end_side_by_side(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(ECHO))
    names = [f"service-{number}" for number in range(8)]
    services = await asyncio.gather(*[deploy(api, name, target(version)) for name in names])
    for name, service in zip(names, services, strict=True):
        await running_again(api, name)
        assert await ask(api, service, name) == name
    assert len(pids(data_dir)) == 8
    await asyncio.gather(*[act(api, "stopService", name) for name in names[:4]])
    await asyncio.gather(*[act(api, "deleteService", name) for name in names[4:]])
    for name in names[:4]:
        await api.service_in(name, "STOPPED")
    for name in names[4:]:
        await wait_for(partial(is_gone, api, name))
    assert pids(data_dir) == []
