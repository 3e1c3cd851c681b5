"""What an importer says in the place of the package: config, apis, dependencies, runtime. All of it is shown."""

import json

from engines.runtime_catalogue import INSTALLED
from tests.api import Api, config
from tests.packages import (
    MXNET,
    SCIKIT_LEARN,
    dependency,
    found,
    import_package,
    mxnet_package,
    network,
    scikit_learn_package,
)

SHOWN = """config requestedRuntime runtime isRuntimeChosen algorithm
    apis { url method requestContentType inputs { name type } outputs { name } requestSchema }
    dependencies { package version restraint }"""
PICTURE = {"type": "object", "properties": {"images": {"type": "file"}}}


async def test_a_config_given_as_text_stands_in_for_the_file_and_needs_none(api: Api) -> None:
    text = config(model_type="MXNet", model_algorithm="object_detection").decode()
    for package in (network(), {**network(), "model/config.json": b"{ broken"}):
        version = await import_package(api, package, config=text)
        assert version["status"] == "NORMAL", version["problems"]
        shown = await api.version("iris", version["version"], SHOWN)
        assert (shown["algorithm"], json.loads(shown["config"])["model_type"]) == ("object_detection", "MXNet")


async def test_what_is_named_beside_the_config_wins_over_it(api: Api) -> None:
    needs = dependency({"package_name": "numpy"}, {"package_name": "pandas"})
    package = scikit_learn_package(runtime="python3.6", dependencies=needs)
    apis = [{"requestSchema": {"type": "object", "properties": {"rows": {"type": "array"}}}}]
    chosen = [{"package": "numpy", "version": "2.4.6", "restraint": "EXACT"}]
    version = await import_package(
        api, package, algorithm=SCIKIT_LEARN, apis=apis, runtime=INSTALLED, dependencies=chosen
    )
    assert version["status"] == "NORMAL", version["problems"]
    assert [warning["code"] for warning in version["warnings"]] == ["RUNTIME_SUBSTITUTED"]
    shown = await api.version("iris", version["version"], SHOWN)
    assert (shown["requestedRuntime"], shown["runtime"], shown["isRuntimeChosen"]) == ("python3.6", INSTALLED, True)
    assert [parameter["name"] for parameter in shown["apis"][0]["inputs"]] == ["rows"]
    assert shown["dependencies"] == chosen
    in_force = json.loads(shown["config"])
    assert (in_force["runtime"], len(in_force["dependencies"])) == (INSTALLED, 1)
    assert in_force["apis"][0]["request"]["data"]["properties"] == {"rows": {"type": "array"}}


async def test_what_is_wrong_with_a_choice_is_refused_with_its_place(api: Api) -> None:
    await import_package(api, mxnet_package())
    before = await api.counts()
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
    apis = [{"url": "/elsewhere", "requestContentType": "text/plain", "requestSchema": [1]}]
    errors = await api.refused(
        "importModel", name="iris", source=source, apis=apis, config='{"model_type": "Nothing",\n"model_algorithm": }'
    )
    assert {(error["code"], tuple(error["path"])) for error in errors} == {
        ("CONFIG_INVALID", ("apis", "0", "url")),
        ("CONFIG_INVALID", ("apis", "0", "requestContentType")),
        ("CONFIG_INVALID", ("apis", "0", "requestSchema")),
        ("CONFIG_NOT_JSON", ("config",)),
    }
    assert "line 2" in next(error["message"] for error in errors if error["path"] == ["config"])
    assert await api.counts() == before


async def test_apis_that_the_engine_cannot_have_fail_the_import(api: Api) -> None:
    apis = [{"requestContentType": "multipart/form-data", "requestSchema": PICTURE}]
    version = await import_package(api, scikit_learn_package(), algorithm=SCIKIT_LEARN, apis=apis)
    assert version["status"] == "IMPORT_FAILED"
    assert found(version["problems"]) == [("CONFIG_INVALID", "apis", "/0/request/Content-type")]


async def test_batch_is_refused_for_a_model_without_declared_inputs(api: Api) -> None:
    version = await import_package(api, mxnet_package(apis=None), algorithm=MXNET, deploymentTypes=["BATCH"])
    assert found(version["problems"]) == [("BATCH_INPUTS_MISSING", "config.json", "/apis")]
    apis = [{"requestContentType": "multipart/form-data", "requestSchema": PICTURE}]
    version = await import_package(api, mxnet_package(apis=None), algorithm=MXNET, deploymentTypes=["BATCH"], apis=apis)
    assert (version["status"], version["deploymentTypes"]) == ("NORMAL", ["BATCH"])


async def test_a_config_beside_another_one_is_refused(api: Api) -> None:
    text = config(model_type="MXNet").decode()
    location = {"key": "shared/iris"}
    before = await api.counts()
    for source in (
        {"template": {"template": "mxnet-py36", "location": location}},
        {"containerImage": {"image": "registry.example.com/a/b:1", "configLocation": location}},
    ):
        errors = await api.refused("importModel", name="iris", source=source, config=text)
        assert ["config"] in [error["path"] for error in errors]
    assert await api.counts() == before


async def test_a_wrong_value_does_not_hide_what_the_package_lacks(api: Api) -> None:
    package = {"model/config.json": config(model_type="MXNet", metrics={"accuracy": "97%"})}
    version = await import_package(api, package)
    assert set(found(version["problems"])) == {
        ("CONFIG_INVALID", "config.json", "/metrics/accuracy"),
        ("MODEL_FILE_MISSING", None, None),
    }
