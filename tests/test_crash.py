"""Ends of the server, asked for and not: nothing is left running, nothing is lost, and nothing happens twice."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.api import wait_for
from tests.deadline import eventually
from tests.journey import Journey, last
from tests.server_process import Checkout, end_all, nothing_left, processes_of
from tests.trained_model import IRIS_ANSWER, IRIS_QUESTION, config, train_iris

FILES = 600
HAPPENED = "{ auditEvents(first: 100) { nodes { kind } } }"
OPERATIONS = """{ backgroundOperations(first: 100) { nodes { kind state stage progress attempts error { message } } }
    modelVersions(first: 100) { nodes { version status files { totalCount } } } }"""
LOGS = "query ($name: String!) { service(by: {name: $name}) { logs(first: 100) { nodes { number text } } } }"
# Its constructor waits until somebody puts a file beside it.
WAITING_CODE = b"""import pathlib, time
from model_service.python_model_service import XgSklServingBaseService


class WaitingService(XgSklServingBaseService):
    def __init__(self, model_path):
        super().__init__(model_path)
        print("the model waits", flush=True)
        while not pathlib.Path(model_path).with_name("go").exists():
            time.sleep(0.05)
"""
PLAIN = config("Scikit_Learn", {"type": "object"}, {"type": "object"})


@pytest.fixture
async def checkout(data_dir: Path) -> AsyncIterator[Checkout]:
    """A data directory that nothing runs in any more when the test has ended."""
    yield Checkout(data_dir)
    end_all(data_dir)


async def imported(journey: Journey, files: dict[str, bytes]) -> None:
    """The version 0.0.1 of a model, NORMAL."""
    await asked_to_import(journey, files)
    await last(journey.watch_import("classifier", "0.0.1"))


async def asked_to_import(journey: Journey, files: dict[str, bytes]) -> None:
    """An import of what a training left."""
    run = await journey.record("training", "SCIKIT_LEARN")
    await journey.upload("training", run, files)
    await journey.import_model("classifier", "training", run)


async def log_lines(journey: Journey) -> list[Any]:
    answered = await journey.ask(LOGS, name="classifier")
    lines: list[Any] = answered["service"]["logs"]["nodes"]
    return lines


async def ended(process: "subprocess.Popen[bytes]", number: signal.Signals, data_dir: Path) -> None:
    """End the server, after which nothing may be left within a few seconds."""
    process.send_signal(number)
    code = await asyncio.to_thread(process.wait, 20)
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    await nothing_left(data_dir)


async def assert_done_once(journey: Journey, kind: str, *events: str) -> None:
    """One operation of a kind, which came to its end, and each event once."""
    stored = await journey.ask(OPERATIONS)
    (operation,) = [found for found in stored["backgroundOperations"]["nodes"] if found["kind"] == kind]
    assert (operation["state"], operation["error"]) == ("SUCCEEDED", None)
    assert [version["status"] for version in stored["modelVersions"]["nodes"]] == ["NORMAL"]
    happened = Counter(event["kind"] for event in (await journey.ask(HAPPENED))["auditEvents"]["nodes"])
    assert {kind: happened[kind] for kind in events} == dict.fromkeys(events, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
async def test_after_its_end_nothing_is_left_and_the_next_start_brings_everything_back(
    number: signal.Signals, checkout: Checkout, tmp_path: Path
) -> None:
    async with checkout.serving() as process, checkout.journey() as journey:
        await imported(journey, train_iris(tmp_path))
        await journey.deploy("classifier", "classifier", "0.0.1")
        await last(journey.watch_service("classifier"))
        before = await wait_for(lambda: log_lines(journey))
        await ended(process, number, checkout.data_dir)
    async with checkout.serving(), checkout.journey() as journey:
        assert (await journey.version("classifier", "0.0.1"))["status"] == "NORMAL"
        service = await journey.service("classifier")
        await wait_for(lambda: answers(journey, service["predictionUrl"]), within_seconds=60)
        await last(journey.watch_service("classifier"))
        assert (await log_lines(journey))[: len(before)] == before


async def answers(journey: Journey, url: str) -> bool:
    answer = await journey.http.post(url, json=IRIS_QUESTION)
    assert answer.status_code in (200, 503), answer.text
    return answer.status_code == 200 and answer.json() == IRIS_ANSWER


async def is_copying(journey: Journey) -> bool:
    """Whether an import has copied some of its files, and not yet all."""
    version = await journey.version("classifier", "0.0.1")
    assert version["status"] == "IMPORTING", version
    operation = version["operation"]
    return operation["stage"] == "COPYING" and 0 < (operation["progress"] or 0) < 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.slow
async def test_an_import_that_is_ended_while_it_copies_is_finished_once(
    number: signal.Signals, checkout: Checkout
) -> None:
    async with checkout.serving() as process, checkout.journey() as journey:
        run = await journey.record("training", "MXNET")
        announced = {
            "model/config.json": config("MXNet", {"type": "object"}, {"type": "object"}),
            "model/resnet-symbol.json": b"{}",
            "model/resnet-0000.params": b"parameters",
        }
        await journey.upload("training", run, announced)
        (folder,) = checkout.data_dir.glob("objects/workspaces/**/model")
        (folder / "assets").mkdir()
        for name in map(str, range(FILES)):
            (folder / "assets" / name).write_text(name)
        await journey.import_model("classifier", "training", run)
        await wait_for(lambda: is_copying(journey), within_seconds=90)
        await ended(process, number, checkout.data_dir)
    abandoned = leave_unfinished_copy(checkout.data_dir / "objects" / "blobs" / "incoming")
    async with checkout.serving(), checkout.journey() as journey:
        await last(journey.watch_import("classifier", "0.0.1"))
        stored = await journey.ask(OPERATIONS)
        # An attempt that ends because its worker is asked to stop does not count.
        counted = 1 if number is signal.SIGINT else 2
        assert stored["backgroundOperations"]["nodes"][0]["attempts"] == counted
        assert stored["modelVersions"]["nodes"][0]["files"]["totalCount"] == FILES + len(announced)
        events = ("MODEL_VERSION_IMPORT_REQUESTED", "MODEL_VERSION_COPIED", "MODEL_VERSION_IMPORTED")
        await assert_done_once(journey, "IMPORT_MODEL", *events)
        await eventually(lambda: not abandoned.exists())
    blobs = [path for path in checkout.data_dir.glob("objects/blobs/sha256/*/*") if path.is_file()]
    assert len(blobs) == FILES + len(announced)


def leave_unfinished_copy(folder: Path) -> Path:
    """What a worker leaves that is killed at the end of a file, two days ago."""
    folder.mkdir(exist_ok=True)
    file = folder / "abandoned"
    file.touch()
    os.utime(file, (time.time() - 2 * 24 * 3600,) * 2)
    return file


@pytest.fixture
def building_checkout(tmp_path: Path, environments: Path) -> Iterator[Checkout]:
    """A data directory without environments, but with everything that they are built from."""
    data_dir = tmp_path / "building"
    (environments / ".cache").mkdir(exist_ok=True)
    (data_dir / "environments").mkdir(parents=True)
    (data_dir / "environments" / ".cache").symlink_to(environments / ".cache")
    yield Checkout(data_dir)
    end_all(data_dir)


@pytest.mark.slow
async def test_an_import_killed_while_it_builds_is_finished_once(building_checkout: Checkout, tmp_path: Path) -> None:
    checkout = building_checkout
    async with checkout.serving() as process, checkout.journey() as journey:
        await asked_to_import(journey, train_iris(tmp_path))
        await wait_for(lambda: installers(checkout.data_dir), within_seconds=60)
        assert (await journey.version("classifier", "0.0.1"))["status"] == "BUILDING"
        await ended(process, signal.SIGKILL, checkout.data_dir)
    async with checkout.serving(), checkout.journey() as journey:
        finished = await last(journey.watch_import("classifier", "0.0.1"))
        assert finished["build"]["state"] == "SUCCEEDED"
        assert (await journey.ask(OPERATIONS))["backgroundOperations"]["nodes"][0]["attempts"] == 2
        events = ("MODEL_VERSION_IMPORT_REQUESTED", "MODEL_VERSION_COPIED", "MODEL_VERSION_IMPORTED")
        await assert_done_once(journey, "IMPORT_MODEL", *events)
    built = [path.parent for path in checkout.data_dir.glob("environments/*/.complete")]
    assert len(built) == 2, "the libraries that serve, and one environment"


async def installers(data_dir: Path) -> list[psutil.Process]:
    """What fills environments at the moment."""
    found = []
    for process in processes_of(data_dir):
        words = " ".join(process.cmdline())
        if "pip install" in words and "site-packages" in words:
            found.append(process)
    return found


@pytest.mark.slow
async def test_a_deployment_killed_while_its_instance_starts_is_finished_once(
    checkout: Checkout, tmp_path: Path
) -> None:
    trained = train_iris(tmp_path)
    files = {
        "model/config.json": PLAIN,
        "model/customize_service.py": WAITING_CODE,
        "model/model.pkl": trained["model/iris.pkl"],
    }
    async with checkout.serving() as process, checkout.journey() as journey:
        await imported(journey, files)
        await journey.deploy("classifier", "classifier", "0.0.1")
        await wait_for(lambda: log_lines(journey), within_seconds=60)
        assert (await journey.service("classifier"))["operation"]["state"] == "RUNNING"
        await ended(process, signal.SIGKILL, checkout.data_dir)
    async with checkout.serving(), checkout.journey() as journey:
        await wait_for(lambda: is_waiting_again(journey), within_seconds=60)
        assert (await journey.service("classifier"))["status"] == "DEPLOYING"
        (package,) = (path.parent for path in checkout.data_dir.glob("packages/*/model.pkl"))
        (package / "go").touch()
        await last(journey.watch_service("classifier"))
        await assert_done_once(journey, "DEPLOY_SERVICE", "SERVICE_DEPLOY_REQUESTED", "SERVICE_RUNNING")


async def is_waiting_again(journey: Journey) -> bool:
    return [line["text"] for line in await log_lines(journey)].count("the model waits") == 2


UPDATE = """mutation ($input: UpdateRealTimeServiceInput!) {
    updateRealTimeService(input: $input) { service { status } errors { message } } }"""
CONFIGURATIONS = """query ($name: String!) { service(by: {name: $name}) {
    configurations(first: 10) { nodes { number state isRouted } } } }"""


@pytest.mark.slow
async def test_an_update_killed_on_its_way_is_finished_once_and_what_served_serves_until_then(
    checkout: Checkout, tmp_path: Path
) -> None:
    waiting = {
        "model/config.json": PLAIN,
        "model/customize_service.py": WAITING_CODE,
        "model/model.pkl": train_iris(tmp_path)["model/iris.pkl"],
    }
    async with checkout.serving() as process, checkout.journey() as journey:
        await imported(journey, train_iris(tmp_path))
        await journey.deploy("classifier", "classifier", "0.0.1")
        await last(journey.watch_service("classifier"))
        await asked_to_import(journey, waiting)
        await last(journey.watch_import("classifier", "0.0.2"))
        target = {"modelVersion": {"modelName": "classifier", "version": "0.0.2"}}
        await journey.ask(UPDATE, input={"serviceName": "classifier", "targets": [target]})
        await wait_for(lambda: waits(journey, 1), within_seconds=60)
        await ended(process, signal.SIGKILL, checkout.data_dir)
    async with checkout.serving(), checkout.journey() as journey:
        service = await journey.service("classifier")
        await wait_for(lambda: answers(journey, service["predictionUrl"]), within_seconds=60)
        await wait_for(lambda: waits(journey, 2), within_seconds=60)
        assert (await journey.service("classifier"))["status"] == "DEPLOYING"
        assert await routed_to(journey) == 1
        (package,) = (path.parent for path in checkout.data_dir.glob("packages/*/model.pkl"))
        (package / "go").touch()
        await last(journey.watch_service("classifier"))
        assert await routed_to(journey) == 2
        happened = Counter(event["kind"] for event in (await journey.ask(HAPPENED))["auditEvents"]["nodes"])
        assert happened["SERVICE_UPDATE_REQUESTED"] == 1
    await nothing_left(checkout.data_dir)


async def waits(journey: Journey, times: int) -> bool:
    return [line["text"] for line in await log_lines(journey)].count("the model waits") == times


async def routed_to(journey: Journey) -> int:
    nodes = (await journey.ask(CONFIGURATIONS, name="classifier"))["service"]["configurations"]["nodes"]
    (number,) = (node["number"] for node in nodes if node["isRouted"])
    return int(number)
