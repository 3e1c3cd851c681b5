"""Updates, restarts and returns of real-time services, with real instances."""

import asyncio
import os
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from tests.api import Api, running_server, wait_for
from tests.deadline import eventually
from tests.load import load_on
from tests.server_process import nothing_left
from tests.services import (
    ECHO,
    HANGS,
    act,
    ask,
    deploy,
    events_of,
    import_version,
    is_gone,
    package,
    pids,
    running,
    running_again,
    target,
)

TELLS_COLOUR = "return os.environ.get('COLOUR', 'none')"
BREAKS = "print('about to break', flush=True)\nraise RuntimeError('no such table')"
CONFIGURATIONS = """progress updatedAt startedAt configurations(first: 20) { nodes {
    number cause restoredNumber state message isWanted isRouted finishedAt createdBy
    targets { weight instanceCount modelVersion { version } } } }"""


def coloured(version: str, colour: str, **fields: Any) -> dict[str, Any]:
    return target(version, environment=[{"name": "COLOUR", "value": colour}], **fields)


async def update(api: Api, name: str, *targets: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """The service after updateRealTimeService, which must be accepted."""
    selection = "service { id status revision updatedAt } warnings { code }"
    payload = await api.mutate("updateRealTimeService", selection, serviceName=name, targets=list(targets), **fields)
    assert payload["errors"] == [], payload
    service: dict[str, Any] = payload["service"]
    return service


async def configurations(api: Api, name: str) -> list[dict[str, Any]]:
    """The newest first."""
    nodes: list[dict[str, Any]] = (await api.service(name, CONFIGURATIONS))["configurations"]["nodes"]
    return nodes


async def settled(api: Api, name: str, data_dir: Path, count: int) -> set[int]:
    """The processes of a service once it is RUNNING, and the rest of its instances have drained."""
    await api.service_in(name, "RUNNING")
    await eventually(lambda: len(pids(data_dir)) == count)
    return set(pids(data_dir))


async def test_no_update_drops_a_prediction_or_starts_more_than_it_must(api: Api, data_dir: Path) -> None:
    versions = [await import_version(api, package(TELLS_COLOUR)) for _ in range(2)]
    first = coloured(versions[0], "red")
    service = await running(api, "iris", first)
    async with load_on(api, service) as load:
        (red,) = await settled(api, "iris", data_dir, 1)
        await load.passes()

        await update(api, "iris", coloured(versions[0], "green"))
        (green,) = await settled(api, "iris", data_dir, 1)
        assert green != red
        await load.passes()

        await update(api, "iris", coloured(versions[0], "green", weight=40), coloured(versions[1], "blue", weight=60))
        both = await settled(api, "iris", data_dir, 2)
        assert green in both, "what is the same goes on"
        await load.passes()

        await update(api, "iris", coloured(versions[0], "green", weight=90), coloured(versions[1], "blue", weight=10))
        assert await settled(api, "iris", data_dir, 2) == both, "another weight starts nothing"

        wider = [coloured(versions[0], "green", weight=90, instanceCount=2), coloured(versions[1], "blue", weight=10)]
        await update(api, "iris", *wider)
        three = await settled(api, "iris", data_dir, 3)
        assert both < three
        await load.passes()

        await act(api, "restartService", "iris")
        assert not three & await settled(api, "iris", data_dir, 3)
        await load.passes()

        await act(api, "rollBackService", "iris", configurationNumber=1)
        await settled(api, "iris", data_dir, 1)
        load.answered.clear()
        await load.passes()
    assert load.failures == []
    assert load.answered.keys() == {'"red"'}
    told = [
        (each["number"], each["cause"], each["state"], each["isWanted"]) for each in await configurations(api, "iris")
    ]
    assert told == [
        (7, "ROLL_BACK", "SUCCEEDED", True),
        (6, "RESTART", "SUCCEEDED", False),
        *[(number, "UPDATE", "SUCCEEDED", False) for number in (5, 4, 3, 2)],
        (1, "DEPLOY", "SUCCEEDED", False),
    ]
    assert "SERVICE_FAILED" not in await events_of(api, service)


async def test_a_version_that_fails_leaves_the_one_before_serving(api: Api, data_dir: Path) -> None:
    good = await import_version(api, package("return 'good'"))
    bad = await import_version(api, package(ECHO, before=BREAKS))
    service = await running(api, "iris", target(good))
    async with load_on(api, service, at_once=1) as load:
        (pid,) = pids(data_dir)
        asked = await update(api, "iris", target(bad))
        assert asked["status"] == "DEPLOYING"
        found = await api.service_in("iris", "CONCERNING")
        message = found["statusMessage"]
        assert "Configuration 2 has not come into force; configuration 1 serves on." in message
        assert "RuntimeError: no such table" in message
        assert "about to break" in message, "the last lines that it printed"
        assert (found["operation"]["kind"], found["operation"]["state"]) == ("UPDATE_SERVICE", "FAILED")
        newest, first = await configurations(api, "iris")
        assert (newest["state"], newest["isWanted"], newest["isRouted"]) == ("FAILED", True, False)
        assert "no such table" in newest["message"]
        assert (first["state"], first["isWanted"], first["isRouted"]) == ("SUCCEEDED", False, True)
        assert pid in pids(data_dir)

        await act(api, "rollBackService", "iris")
        assert await settled(api, "iris", data_dir, 1) == {pid}, "what still runs is taken over"
        await load.passes()
    assert load.failures == []
    assert load.answered.keys() == {'"good"'}
    newest, failed, _ = await configurations(api, "iris")
    assert (newest["cause"], newest["restoredNumber"], newest["state"]) == ("ROLL_BACK", 1, "SUCCEEDED")
    assert failed["state"] == "FAILED"
    assert (await api.service("iris"))["statusMessage"] is None


async def test_a_deployment_that_hangs_can_be_rolled_back_and_stopped_but_not_updated(api: Api, data_dir: Path) -> None:
    good = await import_version(api, package("return 'good'"))
    hanging = await import_version(api, package(ECHO, before=HANGS))
    service = await running(api, "iris", target(good))
    await update(api, "iris", target(hanging))
    await eventually(lambda: len(pids(data_dir)) == 2)
    (error,) = await api.refused("updateRealTimeService", serviceName="iris", targets=[target(good)])
    assert error["code"] == "INVALID_STATE"
    assert "rollBackService" in error["hint"]
    assert await ask(api, service, {}) == "good"
    await act(api, "rollBackService", "iris")
    await settled(api, "iris", data_dir, 1)
    assert [each["state"] for each in await configurations(api, "iris")] == ["SUCCEEDED", "SUPERSEDED", "SUCCEEDED"]

    await update(api, "iris", target(hanging))
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    assert pids(data_dir) == []
    await act(api, "rollBackService", "iris", configurationNumber=3)
    assert (await api.service("iris"))["status"] == "STOPPED"
    await act(api, "startService", "iris")
    await running_again(api, "iris")
    newest = (await configurations(api, "iris"))[0]
    assert (newest["number"], newest["state"], newest["isRouted"]) == (5, "SUCCEEDED", True)


async def test_a_stopped_service_starts_with_what_it_was_updated_to(api: Api, data_dir: Path) -> None:
    versions = [await import_version(api, package(f"return {number}")) for number in range(2)]
    service = await running(api, "iris", target(versions[0]))
    began = (await api.service("iris", CONFIGURATIONS))["startedAt"]
    assert began is not None
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    updated = await update(api, "iris", target(versions[1]))
    assert (updated["status"], updated["revision"]) == ("STOPPED", 3)
    assert pids(data_dir) == []
    assert (await configurations(api, "iris"))[0]["state"] == "RUNNING", "it comes into force with the next start"
    await act(api, "startService", "iris")
    found = await running_again(api, "iris")
    assert await ask(api, {**service, **found}, {}) == 1
    assert len(pids(data_dir)) == 1
    assert (await api.service("iris", CONFIGURATIONS))["startedAt"] > began


async def test_what_was_stopped_before_it_came_into_force_is_told_so_until_it_does(api: Api) -> None:
    version = await import_version(api, package(ECHO, before=HANGS))
    await deploy(api, "iris", target(version))
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    (configuration,) = await configurations(api, "iris")
    assert (configuration["state"], configuration["message"]) == ("FAILED", "It was stopped before it came into force.")
    assert configuration["finishedAt"] is not None


async def test_an_update_of_a_failed_service_takes_its_place_at_once(api: Api, data_dir: Path) -> None:
    bad = await import_version(api, package(ECHO, before=BREAKS))
    good = await import_version(api, package(ECHO))
    service = await deploy(api, "iris", target(bad))
    await api.service_in("iris", "FAILED")
    await update(api, "iris", target(good))
    await running_again(api, "iris")
    assert await ask(api, service, 1) == 1
    await settled(api, "iris", data_dir, 1)


async def test_what_dies_while_an_update_is_under_way_comes_back(api: Api, data_dir: Path) -> None:
    good = await import_version(api, package("return 'good'"))
    hanging = await import_version(api, package(ECHO, before=HANGS))
    service = await running(api, "iris", target(good))
    (pid,) = pids(data_dir)
    await update(api, "iris", target(hanging))
    await eventually(lambda: len(pids(data_dir)) == 2)
    os.kill(pid, signal.SIGKILL)
    await wait_for(partial(answers, api, service, "good"))
    assert (await api.service("iris"))["status"] == "DEPLOYING"
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))
    assert pids(data_dir) == []


async def answers(api: Api, service: Mapping[str, Any], expected: object) -> bool:
    response = await api.http.post(service["predictionUrl"], json={})
    return bool(response.status_code == 200 and response.json() == expected)


async def test_a_deployment_that_takes_too_long_has_failed_and_is_tried_on(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, deployment_timeout_seconds=2.0) as server:
        api = server.client()
        good = await import_version(api, package("return 'good'"))
        hanging = await import_version(api, package(ECHO, before=HANGS))
        service = await deploy(api, "slow", target(hanging))
        failed = await api.service_in("slow", "FAILED")
        assert "not ready within 2 s" in failed["statusMessage"]
        assert failed["operation"]["state"] == "FAILED"
        assert (await events_of(api, service)).count("SERVICE_DEPLOYMENT_TIMED_OUT") == 1
        assert (await configurations(api, "slow"))[0]["state"] == "FAILED"
        assert len(pids(data_dir)) == 1, "it is tried on"
        await act(api, "deleteService", "slow")
        await wait_for(lambda: is_gone(api, "slow"))
        service = await deploy(api, "iris", target(good))
        await api.service_in("iris", "RUNNING")
        await update(api, "iris", target(hanging))
        found = await api.service_in("iris", "CONCERNING")
        assert "not ready within 2 s" in found["statusMessage"]
        assert "configuration 1 serves on" in found["statusMessage"]
        assert await ask(api, service, {}) == "good"
    await nothing_left(data_dir)


async def test_of_two_servers_one_runs_the_instances_and_the_other_takes_on(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir) as second:
        api = second.client()
        async with running_server(pool, database_url, data_dir) as first:
            versions = [await import_version(api, package(f"return {number}")) for number in range(2)]
            service = await running(api, "iris", target(versions[0]))
            await asyncio.gather(
                *[update_once(client, versions[1]) for client in (first.client(), second.client()) for _ in range(3)]
            )
            await settled(api, "iris", data_dir, 1)
            assert len(await configurations(api, "iris")) == 2
        await wait_for(partial(answers, api, service, 1))
        await settled(api, "iris", data_dir, 1)
    await nothing_left(data_dir)


async def update_once(api: Api, version: str) -> None:
    fields: dict[str, Any] = {"serviceName": "iris", "targets": [target(version)], "expectedRevision": 1}
    payload = await api.mutate("updateRealTimeService", "__typename", **fields)
    assert [error["code"] for error in payload["errors"]] in ([], ["CONFLICT"])


@pytest.mark.slow
async def test_many_updates_under_load_drop_nothing(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(TELLS_COLOUR))
    service = await running(api, "iris", coloured(version, "0"))
    async with load_on(api, service, at_once=8) as load:
        for number in range(1, 9):
            await update(api, "iris", coloured(version, str(number), instanceCount=1 + number % 3))
            await api.service_in("iris", "RUNNING")
            await load.passes(50)
    assert load.failures == []
    assert load.answered.keys() == {f'"{number}"' for number in range(9)}
