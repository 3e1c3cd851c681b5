"""The import of good packages: what their versions show, what is stored of them, and their environments."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engines.runtime_catalogue import INSTALLED, default_runtime
from tests.api import Api, RunningServer, config
from tests.packages import (
    CUSTOM_CODE,
    MXNET,
    RESNET,
    SCIKIT_LEARN,
    Package,
    api_of,
    blobs,
    dependency,
    event_kinds,
    field_schema,
    files_of,
    foreign_pickle,
    found,
    import_package,
    mxnet_package,
    network,
    opened,
    retried,
    scikit_learn_package,
    shell_pickle,
    upload_job,
)

IMAGE = {"customImage": {"image": "registry.example.com/iris:1"}}
OLD_RUNTIME = "python3.6"
EXTRA = "model/extra.txt"
WHEEL = "iris-1.0-py3-none-any.whl"


async def test_an_imported_version_shows_what_the_package_is(api: Api, data_dir: Path) -> None:
    package = {
        **mxnet_package(
            runtime="python3.7",
            metrics={"f1": 0.75, "recall": 0.5, "precision": 1, "accuracy": 0.875},
            apis=api_of(field_schema(images="file", top="integer"), field_schema(label="string")),
            dependencies=dependency(
                {"package_name": "numpy", "package_version": "1.14.5", "restraint": "ATLEAST"},
                {"package_name": "pillow"},
            ),
        ),
        "model/customize_service.py": CUSTOM_CODE,
        "model/labels/names.txt": "桜\n".encode(),
    }
    package["model/config.json"] = package["model/config.json"].replace(b"application/json", b"multipart/form-data", 1)
    imported = await import_package(api, package)
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])

    shown = await api.version(
        "iris",
        "0.0.1",
        """aiEngine algorithm requestedRuntime runtime sizeBytes digest config
        metrics { f1 recall precision accuracy } dependencies { installer package version restraint }
        apis { url method requestContentType responseContentType inputs { name type } outputs { name type } }
        inferenceCode { path url location { store key } } build { state }
        source { ... on TrainingJobSource { location { key } trainingJobVersion { name } } }""",
    )
    assert shown["algorithm"] == "image_classification"
    assert (shown["aiEngine"], shown["requestedRuntime"]) == ("MXNET", "python3.7")
    assert shown["metrics"] == {"f1": 0.75, "recall": 0.5, "precision": 1, "accuracy": 0.875}
    assert shown["apis"] == [
        {
            "url": "/",
            "method": "POST",
            "requestContentType": "multipart/form-data",
            "responseContentType": "application/json",
            "inputs": [{"name": "images", "type": "file"}, {"name": "top", "type": "integer"}],
            "outputs": [{"name": "label", "type": "string"}],
        }
    ]
    assert [list(entry.values()) for entry in shown["dependencies"]] == [
        ["pip", "numpy", "1.14.5", "ATLEAST"],
        ["pip", "pillow", None, None],
    ]
    assert json.loads(shown["config"])["model_algorithm"] == "image_classification"
    directory = shown["source"]["location"]["key"]
    assert directory.endswith("/V0001/model")
    code = shown["inferenceCode"]
    assert (code["path"], code["location"]["key"]) == ("customize_service.py", f"{directory}/customize_service.py")
    assert await opened(code["url"]) == CUSTOM_CODE

    files = await files_of(api, "0.0.1")
    relative = {path.removeprefix("model/"): data for path, data in package.items()}
    assert [file["path"] for file in files] == sorted(relative)
    for file in files:
        assert await opened(file["url"]) == relative[file["path"]]
        assert file["sha256"] == hashlib.sha256(relative[file["path"]]).hexdigest()
        assert (file["sizeBytes"], file["scan"]) == (len(relative[file["path"]]), "CLEAN")
    assert blobs(data_dir) == {file["sha256"] for file in files}
    assert shown["sizeBytes"] == sum(len(data) for data in relative.values())
    in_order = sorted(relative, key=lambda path: path.split("/"))
    raw = b"".join(hashlib.sha256(relative[path]).digest() for path in in_order)
    assert shown["digest"] == hashlib.sha256(raw).hexdigest()


async def test_an_import_is_an_operation_with_events(api: Api) -> None:
    await import_package(api, mxnet_package())
    selection = "operation { kind state progress attempts error { code } createdBy startedAt finishedAt }"
    operation = (await api.version("iris", "0.0.1", selection))["operation"]
    assert operation["startedAt"] <= operation["finishedAt"]
    assert {name: operation[name] for name in ("kind", "state", "progress", "attempts", "error", "createdBy")} == {
        "kind": "IMPORT_MODEL",
        "state": "SUCCEEDED",
        "progress": 1,
        "attempts": 1,
        "error": None,
        "createdBy": "MODELYARD_TOKEN",
    }
    assert await event_kinds(api, "0.0.1") == ["IMPORT_REQUESTED", "COPIED", "IMPORTED"]


@pytest.mark.parametrize(
    ("prefix", "directory"),
    [("model/", "/model"), ("V0001/model/", "/V0001/model"), ("V1/model/", "/V1/model"), ("", "")],
)
async def test_the_model_directory_is_found_where_training_left_it(api: Api, prefix: str, directory: str) -> None:
    package = {path.replace("model/", prefix, 1): data for path, data in mxnet_package().items()}
    package["V0002/other/notes.txt"] = b"not of the package"
    expected = len(package) - (1 if prefix else 0)
    assert (await import_package(api, package))["status"] == "NORMAL"
    shown = await api.version("iris", "0.0.1", "source { ... on TrainingJobSource { location { key } } }")
    output = await api.pool.fetchval("SELECT output_key FROM training_job_version")
    assert shown["source"]["location"]["key"] == output + directory
    assert len(await files_of(api, "0.0.1")) == expected


async def test_metrics_are_those_of_the_job_and_else_those_of_the_config(api: Api) -> None:
    package = mxnet_package(metrics={"f1": 0.1, "accuracy": 0.2})
    measured = [{"name": "f1_score", "value": 0.9}, {"name": "loss", "value": 3.5}]
    source = await upload_job(api, package, algorithm=MXNET, metrics=measured)
    await api.imported("iris", await api.import_version("iris", source))
    await import_package(api, package)
    metrics = [
        (await api.version("iris", version, "metrics { f1 recall precision accuracy }"))["metrics"]
        for version in ("0.0.1", "0.0.2")
    ]
    assert metrics == [
        {"f1": 0.9, "recall": None, "precision": None, "accuracy": None},
        {"f1": 0.1, "recall": None, "precision": None, "accuracy": 0.2},
    ]


async def test_deployment_types_are_those_chosen_and_else_all_that_the_package_can_serve(api: Api) -> None:
    chosen = await import_package(api, mxnet_package(), deploymentTypes=["EDGE"])
    every = await import_package(api, mxnet_package())
    undeclared = await import_package(api, mxnet_package(apis=None))
    assert chosen["deploymentTypes"] == ["EDGE"]
    assert every["deploymentTypes"] == ["REAL_TIME", "BATCH", "EDGE"]
    assert undeclared["deploymentTypes"] == ["REAL_TIME", "EDGE"]


@pytest.mark.parametrize(
    ("package", "algorithm", "engine"),
    [
        (mxnet_package(), MXNET, "MXNET"),
        (mxnet_package(runtime=OLD_RUNTIME), MXNET, "MXNET"),
        ({"model/config.json": config(model_type="Image", swr_location="swr.example/a/iris:1")}, IMAGE, "IMAGE"),
    ],
)
async def test_an_engine_without_environment_is_imported_with_a_warning_and_cannot_be_deployed(
    api: Api, package: Package, algorithm: dict[str, Any], engine: str
) -> None:
    imported = await import_package(api, package, algorithm=algorithm)
    assert (imported["status"], imported["aiEngine"], imported["runtime"]) == ("NORMAL", engine, None)
    assert [warning["code"] for warning in imported["warnings"]] == ["UNSUPPORTED_BY_ENGINE"]
    assert imported["deployableAs"] == []
    shown = await api.version("iris", "0.0.1", "build { state } deploymentBlockers { code message }")
    assert shown["build"] is None
    assert {blocker["code"] for blocker in shown["deploymentBlockers"]} == {"UNSUPPORTED_BY_ENGINE"}


async def test_a_built_in_algorithm_needs_neither_config_nor_code(api: Api) -> None:
    imported = await import_package(api, network(), algorithm=RESNET)
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    selection = "origin aiEngine algorithm inferenceCode { path } apis { inputs { name type } outputs { name } } config"
    shown = await api.version("iris", "0.0.1", selection)
    assert (shown["origin"], shown["aiEngine"]) == ("BUILT_IN_ALGORITHM", "MXNET")
    assert shown["algorithm"] == "image_classification"
    assert shown["inferenceCode"] is None
    assert shown["apis"][0]["inputs"] == [{"name": "images", "type": "file"}]
    assert {output["name"] for output in shown["apis"][0]["outputs"]} == {"predicted_label", "scores"}
    assert json.loads(shown["config"])["model_type"] == "MXNet"


async def test_a_config_beside_the_output_of_a_built_in_algorithm_counts(api: Api) -> None:
    package = {**network(), "model/config.json": mxnet_package(model_algorithm="mine")["model/config.json"]}
    imported = await import_package(api, package, algorithm=RESNET)
    assert (imported["status"], imported["algorithm"]) == ("NORMAL", "mine")


async def test_what_a_config_misspells_is_understood_with_a_warning(api: Api) -> None:
    package = mxnet_package(model_owner="me", apis=[{"url": "/", "procotol": "http", "method": "post"}])
    imported = await import_package(api, package)
    assert imported["status"] == "NORMAL"
    selection = "warnings { code hint ... on PackageProblem { file pointer } }"
    warnings = (await api.version("iris", "0.0.1", selection))["warnings"]
    assert {(warning["code"], warning["pointer"]) for warning in warnings} == {
        ("CONFIG_UNKNOWN_KEY", "/model_owner"),
        ("CONFIG_UNKNOWN_KEY", "/apis/0/procotol"),
        ("UNSUPPORTED_BY_ENGINE", None),
    }


async def test_the_same_bytes_are_stored_once(server: RunningServer, api: Api, data_dir: Path) -> None:
    package = {**mxnet_package(), "model/copy.txt": network()["model/resnet-symbol.json"]}
    first = await import_package(api, package)
    stored = blobs(data_dir)
    assert len(stored) == len(package) - 1
    other = await server.client_of_new_workspace("other")
    again, elsewhere = await import_package(api, package), await import_package(other, package)
    assert first["digest"] == again["digest"] == elsewhere["digest"]
    assert blobs(data_dir) == stored
    assert await api.count("stored_blob") == len(stored)
    assert await api.count("model_file") == 3 * len(package)


async def test_a_version_does_not_change_with_its_source(api: Api) -> None:
    source = await upload_job(api, mxnet_package(), algorithm=MXNET)
    first = await api.imported("iris", await api.import_version("iris", source))
    await api.upload("iris", source, {"model/resnet-symbol.json": b"another"})
    second = await api.imported("iris", await api.import_version("iris", source))
    assert first["digest"] != second["digest"]
    contents = []
    for version in ("0.0.1", "0.0.2"):
        by_path = {file["path"]: file["url"] for file in await files_of(api, version)}
        contents.append(await opened(by_path["resnet-symbol.json"]))
    assert contents == [network()["model/resnet-symbol.json"], b"another"]


async def test_a_retry_reads_the_package_anew(api: Api, data_dir: Path) -> None:
    bad = {**mxnet_package(), "model/labels.pkl": shell_pickle(), EXTRA: b"x"}
    failed = await import_package(api, bad)
    assert failed["status"] == "IMPORT_FAILED"
    await api.upload("iris", "V0001", {"model/labels.pkl": foreign_pickle()})
    (data_dir / "objects" / await api.pool.fetchval("SELECT output_key FROM training_job_version") / EXTRA).unlink()
    again = await retried(api, "0.0.1")
    assert again["status"] == "NORMAL"
    assert [warning["code"] for warning in again["warnings"]] == ["UNSUPPORTED_BY_ENGINE", "UNKNOWN_PICKLE"]
    scans = {file["path"]: file["scan"] for file in await files_of(api, "0.0.1")}
    assert scans["labels.pkl"] == "UNKNOWN"
    assert "extra.txt" not in scans
    kinds = ["IMPORT_REQUESTED", "IMPORT_FAILED", "IMPORT_RETRIED", "COPIED", "IMPORTED"]
    assert await event_kinds(api, "0.0.1") == kinds


async def test_dependencies_of_the_importer_take_the_place_of_the_packages(api: Api) -> None:
    package = mxnet_package(dependencies=dependency({"package_name": WHEEL}, {"package_name": "six"}))
    chosen = [{"package": "attrs", "version": "23.1.0", "restraint": "ATLEAST"}]
    imported = await import_package(api, package, dependencies=chosen)
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    shown = await api.version("iris", "0.0.1", "dependencies { package version restraint } config")
    assert shown["dependencies"] == chosen
    assert [entry["packages"] for entry in json.loads(shown["config"])["dependencies"]] == [
        [{"package_name": "attrs", "package_version": "23.1.0", "restraint": "ATLEAST"}]
    ]
    failed = await import_package(api, mxnet_package(), dependencies=[{"package": WHEEL}])
    assert found(failed["problems"]) == [("WHEEL_MISSING", WHEEL, None)]


BUILD = "build { state runtime requirements log startedAt finishedAt } deployableAs deploymentBlockers { code }"


@pytest.mark.slow
async def test_a_package_with_an_environment_is_built_and_can_be_deployed(api: Api) -> None:
    source = await upload_job(api, scikit_learn_package(), algorithm=SCIKIT_LEARN)
    await api.import_version("iris", source)
    imported = await api.imported("iris", "0.0.1", within_seconds=600)
    assert (imported["status"], imported["problems"], imported["warnings"]) == ("NORMAL", [], [])
    assert (imported["runtime"], imported["requestedRuntime"]) == (INSTALLED, None)
    shown = await api.version("iris", "0.0.1", BUILD)
    default = default_runtime("SCIKIT_LEARN")
    assert default is not None
    assert (shown["build"]["state"], shown["build"]["runtime"]) == ("SUCCEEDED", INSTALLED)
    assert shown["build"]["requirements"] == list(default.requirements)
    assert shown["build"]["log"]
    assert "REAL_TIME" in shown["deployableAs"]


@pytest.mark.slow
async def test_a_version_that_does_not_exist_fails_the_build_by_name_and_other_dependencies_mend_it(
    api: Api, data_dir: Path
) -> None:
    missing = {"package_name": "six", "package_version": "99.0", "restraint": "EXACT"}
    package = scikit_learn_package(dependencies=dependency(missing))
    source = await upload_job(api, package, algorithm=SCIKIT_LEARN)
    await api.import_version("iris", source)
    failed = await api.imported("iris", "0.0.1", within_seconds=600)
    assert (failed["status"], failed["operation"]["error"]) == ("BUILD_FAILED", {"code": "BUILD_FAILED"})
    (problem,) = failed["problems"]
    assert (problem["code"], problem["file"], problem["pointer"]) == ("BUILD_FAILED", "config.json", "/dependencies")
    assert problem["actual"] == "six==99.0"
    assert "six" in problem["message"]
    assert "retryImport" in problem["hint"]
    shown = await api.version("iris", "0.0.1", BUILD)
    assert shown["build"]["state"] == "FAILED"
    assert "six" in shown["build"]["log"]
    assert (shown["deployableAs"], shown["deploymentBlockers"]) == ([], [{"code": "MODEL_VERSION_NOT_READY"}])

    # The copy is whole: somebody may have tidied up, or run the job again.
    shutil.rmtree(data_dir / "objects" / await api.pool.fetchval("SELECT output_key FROM training_job_version"))
    wheel = await retried(api, "0.0.1", dependencies=[{"package": WHEEL}])
    assert (wheel["status"], found(wheel["problems"])) == ("BUILD_FAILED", [("WHEEL_MISSING", WHEEL, None)])
    mended = await retried(api, "0.0.1", dependencies=[])
    assert (mended["status"], mended["problems"]) == ("NORMAL", [])
    assert (mended["digest"], mended["sizeBytes"]) == (failed["digest"], failed["sizeBytes"])
    assert (await api.version("iris", "0.0.1", "dependencies { package }"))["dependencies"] == []
    kinds = await event_kinds(api, "0.0.1")
    assert kinds[:4] == ["IMPORT_REQUESTED", "COPIED", "BUILDING", "BUILD_FAILED"]
    assert kinds[4:7] == ["IMPORT_RETRIED", "BUILD_FAILED", "IMPORT_RETRIED"]
    assert (kinds.count("COPIED"), kinds[-1]) == (1, "IMPORTED")


@pytest.mark.slow
async def test_an_old_runtime_is_replaced_by_one_that_the_importer_names(api: Api) -> None:
    source = await upload_job(api, scikit_learn_package(runtime=OLD_RUNTIME), algorithm=SCIKIT_LEARN)
    await api.import_version("iris", source)
    assert (await api.imported("iris", "0.0.1"))["status"] == "IMPORT_FAILED"
    again = await retried(api, "0.0.1", runtime=INSTALLED)
    assert (again["status"], again["runtime"], again["requestedRuntime"]) == ("NORMAL", INSTALLED, OLD_RUNTIME)
