"""Imports that fail for what is asked, or for what the server runs into, where no other test shows it.

Others are in test_import_rules, test_import_source, test_model, test_training_job_output, test_model_source.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from db.connection import Pool
from engines.runtime_catalogue import INSTALLED
from resolvers.workspace import grant_prefix
from server.settings import Placement
from tests.api import Api, RunningServer, config, running_server
from tests.object_stores import s3_server
from tests.packages import MXNET, assert_told, dependency, found, import_package, mxnet_package, retried, upload_job

SWR = "registry.example.com/team/iris:1"
# By reason: what importModel is asked beside a name, the code, and the path.
REQUESTS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "job unknown": (
        {"source": {"trainingJob": {"trainingJobName": "nobody", "versionName": "V0001"}}},
        "NOT_FOUND",
        ["source", "trainingJob", "trainingJobName"],
    ),
    "version of a job unknown": (
        {"source": {"trainingJob": {"trainingJobName": "iris", "versionName": "V0009"}}},
        "NOT_FOUND",
        ["source", "trainingJob", "versionName"],
    ),
    "store unknown": (
        {"source": {"objectStorage": {"key": "shared/iris", "store": "gone"}}},
        "LOCATION_REFUSED",
        ["source", "objectStorage"],
    ),
    "place malformed": (
        {"source": {"objectStorage": {"key": "shared/../iris"}}},
        "LOCATION_REFUSED",
        ["source", "objectStorage"],
    ),
    "place of a template": (
        {"source": {"template": {"template": "mxnet-py36", "location": {"key": "elsewhere"}}}},
        "LOCATION_REFUSED",
        ["source", "template", "location"],
    ),
    "place of an image's config": (
        {"source": {"containerImage": {"image": SWR, "configLocation": {"key": "elsewhere"}}}},
        "LOCATION_REFUSED",
        ["source", "containerImage", "configLocation"],
    ),
    "config of an image with dependencies": (
        {
            "source": {"containerImage": {"image": SWR}},
            "config": config(model_type="Image", dependencies=dependency({"package_name": "six"})).decode(),
        },
        "CONFIG_INVALID",
        ["config"],
    ),
    "dependencies of an image": (
        {"source": {"containerImage": {"image": SWR}}, "dependencies": [{"package": "six"}]},
        "INVALID_INPUT",
        ["dependencies"],
    ),
    "health check of an image": (
        {"source": {"containerImage": {"image": SWR, "healthCheck": {"checkMethod": "EXEC"}}}},
        "CONFIG_INVALID",
        ["source", "containerImage", "healthCheck"],
    ),
    "installer": (
        {
            "source": {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}},
            "dependencies": [{"package": "six", "installer": "conda"}],
        },
        "INVALID_INPUT",
        ["dependencies", "0", "installer"],
    ),
}


async def test_every_refusal_of_a_request_has_its_code_its_place_and_stores_nothing(api: Api) -> None:
    await upload_job(api, mxnet_package(), algorithm=MXNET)
    await grant_prefix(api.pool, name="default", store="default", prefix="shared")
    before = await api.counts()
    for reason, (fields, code, path) in REQUESTS.items():
        [error] = await api.refused("importModel", name="iris", **fields)
        assert (reason, error["code"], error["path"]) == (reason, code, path)
        assert error["message"].endswith("."), error
    assert await api.counts() == before


async def test_a_job_of_another_workspace_is_as_unknown_as_one_that_never_was(server: RunningServer, api: Api) -> None:
    await upload_job(api, mxnet_package(), algorithm=MXNET)
    other = await server.client_of_new_workspace("other")
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
    [foreign] = await other.refused("importModel", name="iris", source=source)
    assert (foreign["code"], foreign["path"]) == ("NOT_FOUND", ["source", "trainingJob", "trainingJobName"])
    assert await api.count("model_version") == 0


async def test_a_required_field_that_is_missing_is_told_beside_data_before_anything_is_done(api: Api) -> None:
    before = await api.counts()
    document = "mutation ($input: ImportModelInput!) { importModel(input: $input) { errors { code } } }"
    answer = await api.send(document, input={"name": "iris"})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
    assert "source" in answer["errors"][0]["message"]
    assert await api.counts() == before


async def test_an_image_s_config_that_is_not_there_fails_the_import_with_its_place(api: Api) -> None:
    await grant_prefix(api.pool, name="default", store="default", prefix="shared")
    source = {"containerImage": {"image": SWR, "configLocation": {"key": "shared/iris"}}}
    payload = await api.mutate("importModel", "modelVersion { version }", name="iris", source=source)
    assert payload["errors"] == []
    failed = await api.imported("iris", "0.0.1")
    assert found(failed["problems"]) == [("CONFIG_MISSING", "config.json", None)]
    assert "shared/iris/config.json" in failed["problems"][0]["message"]
    assert_told(failed["problems"][0])


async def test_another_runtime_cannot_be_chosen_while_an_environment_is_built(api: Api) -> None:
    await import_package(api, mxnet_package())
    await api.pool.execute("UPDATE model_version SET status = 'BUILDING'")
    before = await api.counts()
    named = {"modelName": "iris", "version": "0.0.1"}
    [error] = await api.refused("retryImport", modelVersion=named, runtime=INSTALLED)
    assert (error["code"], error["path"]) == ("INVALID_STATE", ["modelVersion"])
    assert await api.counts() == before


async def test_a_failure_of_the_server_s_own_says_so_and_can_be_tried_again(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, worker=Placement.NONE) as idle:
        api = idle.client()
        await api.import_version("iris", await upload_job(api, mxnet_package(), algorithm=MXNET))
        await pool.execute("UPDATE operation SET attempts = 1000")
    async with running_server(pool, database_url, data_dir) as server:
        api = server.client()
        failed = await api.imported("iris", "0.0.1")
        assert found(failed["problems"]) == [("INTERNAL_ERROR", None, None)]
        assert_told(failed["problems"][0])
        assert "retryImport" in failed["problems"][0]["hint"]
        assert (await retried(api, "0.0.1"))["status"] == "NORMAL"


@pytest.fixture
def s3_endpoint() -> Iterator[str]:
    with s3_server() as url:
        httpx.put(f"{url}/models").raise_for_status()
        yield url


def let_in(s3_endpoint: str, requests: str) -> None:
    """After so many requests the store asks for credentials that nobody has."""
    httpx.post(f"{s3_endpoint}/moto-api/reset-auth", content=requests).raise_for_status()


async def test_a_store_that_refuses_the_server_fails_the_import_and_a_retry_mends_it(
    pool: Pool, database_url: str, data_dir: Path, s3_endpoint: str
) -> None:
    url = SecretStr(f"s3://models/yard?endpoint={s3_endpoint}&region=us-east-1")
    async with running_server(pool, database_url, data_dir, object_store_url=url) as server:
        api = server.client()
        await upload_job(api, mxnet_package(), algorithm=MXNET)
        let_in(s3_endpoint, "0")
        try:
            await api.import_version("iris", "V0001")
            failed = await api.imported("iris", "0.0.1")
        finally:
            let_in(s3_endpoint, "inf")
        assert (failed["status"], found(failed["problems"])) == ("IMPORT_FAILED", [("STORE_DENIED", None, None)])
        assert_told(failed["problems"][0])
        assert "retryImport" in failed["problems"][0]["hint"]
        assert (await retried(api, "0.0.1"))["status"] == "NORMAL"
