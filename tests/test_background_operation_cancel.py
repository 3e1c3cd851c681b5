"""Breaking off background operations: what becomes of them, and of what they were at."""

from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from server.settings import Placement
from tests.api import Api, RunningServer, running_server, wait_for
from tests.model_lives import named
from tests.packages import MXNET, import_package, mxnet_package, upload_job
from tests.pools import refuse
from tests.services import ECHO, act, deploy, import_version, package, target
from tests.test_unfinished_build import building, builds, no_work, silent_index

SHOWN = "operation { id kind state finishedAt }"


async def operation_of(api: Api, version: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.version("iris", version, "operation { id kind state }"))["operation"]
    return found


async def cancelled(api: Api, operation_id: str, **fields: Any) -> dict[str, Any]:
    payload = await api.mutate("cancelBackgroundOperation", SHOWN, operationId=operation_id, **fields)
    assert payload["errors"] == [], payload
    shown: dict[str, Any] = payload["operation"]
    assert shown["state"] == "CANCELLED"
    assert shown["finishedAt"] is not None
    return shown


async def waiting_import(pool: Pool, api: Api) -> str:
    """A version whose import waits for a worker."""
    return await api.import_version("iris", await upload_job(api, mxnet_package(), algorithm=MXNET), name="iris")


async def test_an_import_that_waits_is_broken_off_and_can_be_tried_again(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        version = await waiting_import(pool, api)
        operation = await operation_of(api, version)
        assert operation["state"] == "QUEUED"
        shown = await cancelled(api, operation["id"], idempotencyKey="one")
        assert await cancelled(api, operation["id"], idempotencyKey="one") == shown
        found = await api.imported("iris", version)
        assert found["status"] == "IMPORT_FAILED"
        assert [problem["code"] for problem in found["problems"]] == ["IMPORT_CANCELLED"]
        assert "MODELYARD_TOKEN cancelled the import" in found["problems"][0]["message"]
        (error,) = await refuse(api, "cancelBackgroundOperation", operationId=operation["id"])
        assert (error["code"], error["path"]) == ("INVALID_STATE", ["operationId"])
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        await wait_for(lambda: no_work(pool))
        assert (await api.version("iris", version, "status"))["status"] == "IMPORT_FAILED"
        payload = await api.mutate("retryImport", "modelVersion { status }", modelVersion=named(version))
        assert payload["errors"] == []
        assert (await api.imported("iris", version))["status"] == "NORMAL"


async def test_an_import_that_builds_is_left_by_its_worker(pool: Pool, database_url: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "own"
    data_dir.mkdir(mode=0o711)
    async with (
        silent_index() as index,
        running_server(pool, database_url, data_dir, package_index_url=index.url) as server,
    ):
        api = server.client()
        version = await building(api, index)
        await cancelled(api, (await operation_of(api, version))["id"])
        found = await api.imported("iris", version)
        assert (found["status"], found["problems"][0]["code"]) == ("BUILD_FAILED", "IMPORT_CANCELLED")
        await wait_for(index.is_left)
        await wait_for(lambda: no_work(pool))
        assert await builds(pool) == ["FAILED"]
        assert (await api.version("iris", version, "status"))["status"] == "BUILD_FAILED"


@pytest.mark.parametrize("mutation", ["verifyModelVersion", "cleanUp"])
async def test_what_waits_is_broken_off_and_can_be_asked_for_anew(
    pool: Pool, database_url: str, data_dir: Path, mutation: str
) -> None:
    async with running_server(pool, database_url, data_dir) as server:
        version = (await import_package(server.client(), mxnet_package()))["version"]
    fields: dict[str, Any] = {"modelVersion": named(version)} if mutation == "verifyModelVersion" else {}
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as server:
        api = server.client()
        asked = await api.mutate(mutation, "operation { id }", **fields)
        await cancelled(api, asked["operation"]["id"])
        anew = await api.mutate(mutation, "operation { id state }", **fields)
        assert anew["operation"]["id"] != asked["operation"]["id"]
        assert anew["operation"]["state"] == "QUEUED"
        assert (await api.version("iris", version, "status"))["status"] == "NORMAL"


async def test_what_is_done_with_a_service_is_not_broken_off(api: Api) -> None:
    version = await import_version(api, package(ECHO))
    await deploy(api, "iris", target(version))
    await api.service_in("iris", "RUNNING")
    await act(api, "stopService", "iris")
    await api.service_in("iris", "STOPPED")
    operation = (await api.service("iris", "newest: operation { id }"))["newest"]
    (error,) = await refuse(api, "cancelBackgroundOperation", operationId=operation["id"])
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["operationId"])
    assert "rollBackService" in error["hint"]


async def test_an_operation_of_another_workspace_is_not_found(server: RunningServer, api: Api) -> None:
    version = (await import_package(api, mxnet_package()))["version"]
    operation = await operation_of(api, version)
    other = await server.client_of_new_workspace("other")
    (error,) = await refuse(other, "cancelBackgroundOperation", operationId=operation["id"])
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["operationId"])
    answer = await api.send(
        'mutation { cancelBackgroundOperation(input: {operationId: "nonsense"}) { errors { code } } }'
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
