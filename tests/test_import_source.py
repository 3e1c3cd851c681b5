"""The four places that a model can be imported from, and what of each is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.connection import Pool
from engines.runtime_catalogue import INSTALLED
from resolvers.workspace import grant_prefix
from tests.api import Api, RunningServer, config, running_server
from tests.packages import MXNET, files_of, found, iris_classifier, mxnet_package, network, upload_job, without

SOURCE = """source { __typename
    ... on ObjectStorageSource { folder { store key } location { key } }
    ... on TemplateSource { template { id } inputOutputMode folder { store key } location { key } }
    ... on ContainerImageSource { image command configLocation { key } }
    ... on TrainingJobSource { trainingJobVersion { name } location { key } } }"""
SHOWN = f"version origin config healthCheck {{ url }} container {{ command protocol port }} {SOURCE}"
IMAGE = "registry.example.com/team/iris:1.0"
ADVERSE = "UNSUPPORTED_BY_ENGINE"


def put(data_dir: Path, key: str, files: Mapping[str, bytes]) -> None:
    """What somebody left in the default store, by means of his own."""
    for path, data in files.items():
        file = data_dir / "objects" / key / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


async def granted(api: Api, data_dir: Path, files: Mapping[str, bytes], key: str = "shared/iris") -> str:
    """The key of a granted folder that holds these files."""
    await grant_prefix(api.pool, name="default", store="default", prefix="shared")
    put(data_dir, key, files)
    return key


async def imported_from(api: Api, source: dict[str, Any], /, **fields: Any) -> Any:
    payload = await api.mutate("importModel", "modelVersion { version }", name="iris", source=source, **fields)
    assert payload["errors"] == [], payload
    version = payload["modelVersion"]["version"]
    return {
        **await api.imported("iris", version),
        **await api.version("iris", version, SHOWN),
    }


async def test_a_folder_of_object_storage_is_imported_by_the_parent_of_its_model_directory(
    api: Api, data_dir: Path
) -> None:
    key = await granted(api, data_dir, mxnet_package())
    version = await imported_from(api, {"objectStorage": {"key": key}})
    assert (version["status"], version["aiEngine"], version["origin"]) == ("NORMAL", "MXNET", "CUSTOM_ALGORITHM")
    assert version["source"] == {
        "__typename": "ObjectStorageSource",
        "folder": {"store": "default", "key": key},
        "location": {"key": f"{key}/model"},
    }


async def test_a_folder_of_object_storage_is_imported_by_its_model_directory_itself(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, mxnet_package())
    version = await imported_from(api, {"objectStorage": {"key": f"{key}/model/"}})
    assert version["source"]["location"] == {"key": f"{key}/model"}
    files = await files_of(api, version["version"])
    assert {file["path"] for file in files} == {path.removeprefix("model/") for path in mxnet_package()}


async def test_a_folder_below_the_workspace_s_own_prefix_needs_no_grant(server: RunningServer, api: Api) -> None:
    job = await upload_job(api, mxnet_package(), algorithm=MXNET)
    document = """{ trainingJob(by: {name: "iris"}) { latestVersion { output { key } } } }"""
    key = (await api.ask(document))["trainingJob"]["latestVersion"]["output"]["key"]
    version = await imported_from(api, {"objectStorage": {"key": key}})
    assert version["status"] == "NORMAL", version["problems"]
    assert version["source"]["location"]["key"].endswith(f"{job}/model")
    stranger = await server.client_of_new_workspace("strangers")
    [error] = await stranger.refused("importModel", name="iris", source={"objectStorage": {"key": key}})
    assert error["code"] == "LOCATION_REFUSED"
    assert await stranger.ask("{ models { totalCount } }") == {"models": {"totalCount": 0}}


async def test_a_folder_that_was_not_granted_is_refused(api: Api, data_dir: Path) -> None:
    put(data_dir, "elsewhere/iris", mxnet_package())
    before = await api.counts()
    [error] = await api.refused("importModel", name="iris", source={"objectStorage": {"key": "elsewhere/iris"}})
    assert (error["code"], error["path"]) == ("LOCATION_REFUSED", ["source", "objectStorage"])
    assert await api.counts() == before


async def test_a_folder_without_a_model_directory_fails_its_import(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, {"readme.txt": b"nothing here"})
    version = await imported_from(api, {"objectStorage": {"key": key}})
    assert (version["status"], found(version["problems"])) == (
        "IMPORT_FAILED",
        [("MODEL_DIRECTORY_MISSING", None, None)],
    )


async def test_a_template_stands_in_for_the_config(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, {"model/model.m": iris_classifier()})
    templates = (await api.ask("{ modelTemplates(filter: {aiEngine: SCIKIT_LEARN}) { id runtime } }"))["modelTemplates"]
    own = next(template["id"] for template in templates if template["runtime"] is None)
    source = {"template": {"template": own, "location": {"key": key}, "inputOutputMode": "PREDICTIVE_ANALYTICS"}}
    version = await imported_from(api, source)
    assert (version["status"], version["aiEngine"], version["runtime"]) == ("NORMAL", "SCIKIT_LEARN", INSTALLED)
    assert version["source"]["template"] == {"id": own}
    assert version["source"]["inputOutputMode"] == "PREDICTIVE_ANALYTICS"
    assert json.loads(version["config"])["model_type"] == "Scikit_Learn"


async def test_a_config_in_a_template_s_package_is_left_out_with_a_warning(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, {"model/config.json": b"{ broken", **network()})
    [template] = [
        template["id"]
        for template in (await api.ask("{ modelTemplates(filter: {aiEngine: MXNET}) { id } }"))["modelTemplates"]
        if template["id"].endswith("py36")
    ]
    version = await imported_from(api, {"template": {"template": template, "location": {"key": f"{key}/model"}}})
    assert version["status"] == "NORMAL", version["problems"]
    assert "CONFIG_LEFT_OUT" in {warning["code"] for warning in version["warnings"]}


async def test_an_unknown_template_and_a_mode_that_it_has_not_are_refused(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, network())
    fixed = (await api.ask("{ modelTemplates { id isModeFixed inputOutputMode } }"))["modelTemplates"]
    template = next(entry for entry in fixed if entry["isModeFixed"])
    other = "OBJECT_DETECTION" if template["inputOutputMode"] != "OBJECT_DETECTION" else "IMAGE_PROCESSING"
    before = await api.counts()
    [unknown] = await api.refused(
        "importModel", name="iris", source={"template": {"template": "nothing", "location": {"key": key}}}
    )
    assert (unknown["code"], unknown["path"]) == ("NOT_FOUND", ["source", "template", "template"])
    assert template["id"] in unknown["hint"]
    source = {"template": {"template": template["id"], "location": {"key": key}, "inputOutputMode": other}}
    [mode] = await api.refused("importModel", name="iris", source=source)
    assert (mode["code"], mode["path"]) == ("TEMPLATE_MODE_FIXED", ["source", "template", "inputOutputMode"])
    assert await api.counts() == before


async def test_an_image_is_imported_with_its_health_check_and_command_and_says_that_nothing_here_runs_it(
    api: Api,
) -> None:
    source = {"containerImage": {"image": IMAGE, "command": "/bin/sh /home/run.sh", "healthCheck": {"url": "/health"}}}
    apis = [{"url": "/classify", "requestSchema": {"type": "object", "properties": {"images": {"type": "file"}}}}]
    version = await imported_from(api, source, apis=apis)
    assert (version["status"], version["aiEngine"]) == ("NORMAL", "IMAGE")
    assert version["source"] == {
        "__typename": "ContainerImageSource",
        "image": IMAGE,
        "command": "/bin/sh /home/run.sh",
        "configLocation": None,
    }
    assert version["healthCheck"] == {"url": "/health"}
    assert version["container"] == {"command": "/bin/sh /home/run.sh", "protocol": "http", "port": 8080}
    assert version["deployableAs"] == []
    assert [warning["code"] for warning in version["warnings"]] == [ADVERSE]
    blockers = await api.version("iris", "0.0.1", "deploymentBlockers { code message } sizeBytes files { totalCount }")
    assert ADVERSE in {blocker["code"] for blocker in blockers["deploymentBlockers"]}
    assert blockers["files"] == {"totalCount": 0}


async def test_the_config_of_an_image_may_lie_in_storage(api: Api, data_dir: Path) -> None:
    api_of_image = [{"url": "/detect", "method": "post", "request": {"data": {"properties": {"images": {}}}}}]
    given = {"model_type": "Image", "model_algorithm": "object_detection", "cmd": "/run", "port": 9000}
    text = json.dumps({**given, "apis": api_of_image})
    key = await granted(api, data_dir, {"config.json": text.encode()})
    for place in (key, f"{key}/config.json"):
        source = {"containerImage": {"image": IMAGE, "configLocation": {"key": place}}}
        version = await imported_from(api, source)
        assert (version["status"], version["algorithm"]) == ("NORMAL", "object_detection")
        assert version["source"]["configLocation"] == {"key": place}
        assert version["container"] == {"command": "/run", "protocol": "http", "port": 9000}


async def test_what_is_wrong_with_an_image_is_told_all_at_once(api: Api) -> None:
    before = await api.counts()
    source = {"containerImage": {"image": "https://REG/x", "command": " ", "healthCheck": {"url": "health"}}}
    errors = await api.refused("importModel", name="iris", source=source, runtime=INSTALLED, labels=["1x"])
    assert {tuple(error["path"]) for error in errors} == {
        ("source", "containerImage", "image"),
        ("source", "containerImage", "command"),
        ("source", "containerImage", "healthCheck", "url"),
        ("runtime",),
        ("labels", "0"),
    }
    assert await api.counts() == before


async def test_a_new_version_may_come_from_another_place_than_the_earlier_ones(api: Api, data_dir: Path) -> None:
    await api.import_version("iris", await upload_job(api, mxnet_package(), algorithm=MXNET))
    key = await granted(api, data_dir, mxnet_package())
    second = await imported_from(api, {"objectStorage": {"key": key}})
    third = await imported_from(api, {"containerImage": {"image": IMAGE}})
    assert (second["version"], third["version"]) == ("0.0.2", "0.0.3")
    document = '{ model(by: {name: "iris"}) { versions { nodes { source { __typename } } } } }'
    nodes = (await api.ask(document))["model"]["versions"]["nodes"]
    kinds = [node["source"]["__typename"] for node in nodes]
    assert kinds == ["ContainerImageSource", "ObjectStorageSource", "TrainingJobSource"]


async def test_an_arm_version_imports_with_templates_and_from_images_only(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, arm_version=True) as server:
        api = server.client()
        key = await granted(api, data_dir, mxnet_package())
        job = await upload_job(api, mxnet_package(), algorithm=MXNET)
        before = await api.counts()
        [storage] = await api.refused("importModel", name="iris", source={"objectStorage": {"key": key}})
        training = {"trainingJob": {"trainingJobName": "iris", "versionName": job}}
        [trained] = await api.refused("importModel", name="iris", source=training)
        assert (storage["code"], trained["code"]) == ("ARM_UNSUPPORTED", "ARM_UNSUPPORTED")
        assert await api.counts() == before
        assert (await imported_from(api, {"containerImage": {"image": IMAGE}}))["status"] == "NORMAL"
        template = {"template": "mxnet-py36", "location": {"key": key}}
        assert (await imported_from(api, {"template": template}))["status"] == "NORMAL"


async def test_a_template_s_package_still_needs_its_model(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, without(network(), "model/resnet-0000.params"))
    version = await imported_from(api, {"template": {"template": "mxnet-py36", "location": {"key": key}}})
    assert version["status"] == "IMPORT_FAILED"
    assert [problem["code"] for problem in version["problems"]] == ["MODEL_FILE_MISSING"]


async def test_an_image_package_in_storage_names_its_image(api: Api, data_dir: Path) -> None:
    key = await granted(api, data_dir, {"model/config.json": config(model_type="Image")})
    version = await imported_from(api, {"objectStorage": {"key": key}})
    assert found(version["problems"]) == [("CONFIG_INVALID", "config.json", "/swr_location")]
