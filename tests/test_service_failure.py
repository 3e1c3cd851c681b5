import asyncio
import hashlib
import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest

from db.connection import Pool
from tests.api import Api, running_server, wait_for
from tests.services import (
    ECHO,
    HANGS,
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

INSTANCES = (
    """... on RealTimeService { targets { instances { id number state reason attempts nextAttemptAt readyAt } } }"""
)


async def test_code_that_fails_is_told_with_its_log_and_leaves_other_services_alone(api: Api, data_dir: Path) -> None:
    failing = {
        "raises": (package(ECHO, before="raise RuntimeError('no such table')"), "RuntimeError: no such table"),
        "unconstructed": (package(ECHO, constructor="raise KeyError('weights')"), "KeyError: 'weights'"),
        "asks-to-exit": (package(ECHO, before="import sys\nsys.exit('goodbye')"), "SystemExit: goodbye"),
        "exits": (package(ECHO, before="import os\nprint('bye', flush=True)\nos._exit(7)"), "exit code 7"),
        "unstorable": (
            package(ECHO, before="raise ValueError('a nul \\0, half a pair \\ud800')"),
            "a nul \ufffd, half",
        ),
        "unimportable": (package(ECHO, before="import no_such_module"), "No module named 'no_such_module'"),
    }
    healthy = await running(
        api, "healthy", target(await import_version(api, package(ECHO), model="healthy"), model="healthy")
    )
    (healthy_pid,) = pids(data_dir)
    for name, (files, _) in failing.items():
        await deploy(api, name, target(await import_version(api, files, model=name), model=name))
    for name, (_, reason) in failing.items():
        service = await api.service_in(name, "FAILED")
        assert reason in service["statusMessage"]
        assert service["operation"]["state"] == "FAILED"
        assert reason in service["operation"]["error"]["message"]
        await wait_for(partial(has_attempts, api, name, 3))
        assert reason in (await api.service(name))["statusMessage"], "it stays told while it is tried again"
        (instance,) = (await api.service(name, INSTANCES))["targets"][0]["instances"]
        assert reason in instance["reason"]
    assert "bye" in await log_of(api, "exits")
    assert any("Traceback" in line for line in await log_of(api, "raises"))
    assert await ask(api, healthy, {"a": 1}) == {"a": 1}
    assert (await api.service("healthy"))["status"] == "RUNNING"
    for name in failing:
        await act(api, "deleteService", name)
    for name in failing:
        await wait_for(partial(is_gone, api, name))
    assert pids(data_dir) == [healthy_pid]


async def has_attempts(api: Api, name: str, count: int) -> bool:
    instances = (await api.service(name, INSTANCES))["targets"][0]["instances"]
    return any(instance["attempts"] >= count for instance in instances)


async def test_each_line_is_logged_once_however_often_an_instance_is_started(api: Api) -> None:
    version = await import_version(api, package(ECHO, before=f"{TELLS_TIME}\nraise RuntimeError('again')"))
    await deploy(api, "iris", target(version))
    await wait_for(lambda: has_attempts(api, "iris", 3))
    lines = await log_of(api, "iris")
    greetings = [line for line in lines if line.startswith("hello at")]
    assert len(greetings) >= 2
    assert len(set(greetings)) == len(greetings)


async def test_a_failed_service_is_started_at_once_when_asked(api: Api) -> None:
    version = await import_version(api, package(ECHO, before="raise RuntimeError('again')"))
    await deploy(api, "iris", target(version))
    await wait_for(lambda: has_attempts(api, "iris", 3))
    service = await api.service_in("iris", "FAILED")
    started = await act(api, "startService", "iris")
    assert (started["status"], started["revision"]) == ("DEPLOYING", service["revision"] + 1)
    failed = await api.service_in("iris", "FAILED")
    assert failed["operation"]["kind"] == "START_SERVICE"
    await act(api, "stopService", "iris")
    stopped = await api.service_in("iris", "STOPPED")
    assert stopped["statusMessage"] is None


async def test_a_killed_instance_comes_back(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package("return os.getpid()", before=TELLS_TIME))
    service = await running(api, "iris", target(version))
    (killed,) = pids(data_dir)
    os.kill(killed, signal.SIGKILL)
    failed = await api.service_in("iris", "FAILED", "CONCERNING")
    assert "SIGKILL" in failed["statusMessage"]
    await running_again(api, "iris")
    assert pids(data_dir) != [killed]
    assert isinstance(await ask(api, service, {}), int)
    greetings = [line for line in await log_of(api, "iris") if line.startswith("hello at")]
    assert len(greetings) == 2
    assert not psutil.pid_exists(killed)


async def test_while_one_of_two_instances_is_away_the_other_answers(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(ECHO))
    service = await running(api, "iris", target(version, instanceCount=2))
    assert service["targets"][0]["readyInstanceCount"] == 2
    kept, killed = pids(data_dir)
    os.kill(killed, signal.SIGKILL)
    concerning = await api.service_in("iris", "CONCERNING")
    assert "SIGKILL" in concerning["statusMessage"]
    for number in range(20):
        assert await ask(api, service, number) == number
    found = await api.service_in("iris", "RUNNING")
    assert found["targets"][0]["readyInstanceCount"] == 2
    assert kept in pids(data_dir)
    assert "SERVICE_CONCERNING" in await events_of(api, service)


async def test_one_version_that_fails_does_not_keep_the_other_from_answering(api: Api) -> None:
    good = await import_version(api, package("return 'good'"))
    bad = await import_version(api, package(ECHO, before="raise RuntimeError('bad')"))
    service = await deploy(api, "iris", target(bad, weight=50), target(good, weight=50))
    found = await api.service_in("iris", "CONCERNING")
    assert "RuntimeError: bad" in found["statusMessage"]
    assert {await ask(api, service, {}) for _ in range(10)} == {"good"}


async def test_a_package_that_is_not_what_was_imported_is_not_run_until_it_is_again(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(ECHO))
    await running(api, "iris", target(version))
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    (code,) = (data_dir / "packages").rglob("customize_service.py")
    imported = code.read_bytes()
    (blob,) = data_dir.rglob(f"*{hashlib.sha256(imported).hexdigest()}*")
    blob.write_bytes(imported.replace(b"return data", b"return 1234"))
    code.write_bytes(blob.read_bytes())
    await act(api, "startService", "iris")
    failed = await api.service_in("iris", "FAILED")
    assert "customize_service.py" in failed["statusMessage"]
    assert "SHA-256" in failed["statusMessage"]
    assert pids(data_dir) == []
    blob.write_bytes(imported)
    found = await running_again(api, "iris")
    assert await ask(api, found, 1) == 1


async def test_an_engine_that_cannot_be_opened_is_told_by_every_service(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    (data_dir / "instances").write_text("in the way")
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        version = await import_version(api, package(ECHO))
        await deploy(api, "iris", target(version))
        failed = await api.service_in("iris", "FAILED")
        assert "The engine could not be opened" in failed["statusMessage"]
        status, answer = await refusal_of(api, failed)
        assert (status, answer["code"]) == (503, "SERVICE_NOT_READY")
        (data_dir / "instances").unlink()
        assert await ask(api, await running_again(api, "iris"), 1) == 1


@pytest.mark.slow
async def test_a_service_that_never_becomes_ready_fails_and_is_tried_again(api: Api, data_dir: Path) -> None:
    version = await import_version(api, package(ECHO, before=HANGS))
    await deploy(api, "iris", target(version))
    failed = await api.service_in("iris", "FAILED", within_seconds=150)
    assert failed["statusMessage"].startswith("The instance was not ready within 120 s.\nIts last lines:\nloading")
    assert "loading" in await log_of(api, "iris")
    await wait_for(lambda: is_starting_again(api, "iris"))
    await act(api, "deleteService", "iris")
    await wait_for(lambda: is_gone(api, "iris"))
    assert pids(data_dir) == []


async def is_starting_again(api: Api, name: str) -> bool:
    (instance,) = (await api.service(name, INSTANCES))["targets"][0]["instances"]
    return bool(instance["state"] == "STARTING" and instance["attempts"] == 2)


@pytest.mark.slow
async def test_a_service_that_runs_costs_next_to_nothing(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await running(api, "iris", target(version))
    bad = await import_version(api, package(ECHO, before="raise RuntimeError('bad')"))
    await deploy(api, "failing", target(bad))
    await wait_for(lambda: has_attempts(api, "failing", 5), within_seconds=60)
    process = psutil.Process()
    before, started = process.cpu_times(), asyncio.get_running_loop().time()
    await wait_for(lambda: has_passed(started, 8))
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system < 2


async def has_passed(started: float, seconds: float) -> bool:
    return asyncio.get_running_loop().time() - started > seconds
