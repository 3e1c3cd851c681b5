"""Every reason for which a package fails its import (modelarts_23_0091, 23_0092): its code, its place, what to do.

Reasons that other tests show through the API are theirs: test_bad_package, test_import_source, test_import_choice,
test_model_signature, test_source_change, test_model_source, test_model_import; the request's own: test_import_failure.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from resolvers.workspace import grant_prefix
from tests.api import Api, config, running_server
from tests.packages import (
    CUSTOM_CODE,
    MXNET,
    SCIKIT_LEARN,
    TENSORFLOW,
    Package,
    assert_told,
    dependency,
    found,
    import_package,
    mxnet_package,
    network,
    pytorch_package,
    upload_job,
    without,
)

PYTORCH = {"framework": {"aiEngine": "PYTORCH"}}
IMAGE = {"customImage": {"image": "registry.example.com/iris:1"}}
SWR = "registry.example.com/team/iris:1"
CODE_PATH = "model/customize_service.py"
Place = tuple[str, str | None, str | None]


def written(text: str) -> Package:
    return {**network(), "model/config.json": text.encode()}


def of_image(**changes: Any) -> Package:
    return {"model/config.json": config(**{"model_type": "Image", "swr_location": SWR, **changes})}


def invalid(*pointers: str) -> set[Place]:
    return {("CONFIG_INVALID", "config.json", pointer) for pointer in pointers}


FIRST = "/dependencies/0/packages/0"
DEEP = '{"model_type": "MXNet", "model_algorithm": "x", "apis": ' + "[" * 70 + "]" * 70 + "}"
SIX = {"package_name": "six", "package_version": "1.16.0"}
# By reason: the package, its training job's algorithm, and the problems.
PACKAGES: dict[str, tuple[Package, dict[str, Any], set[Place]]] = {
    "model type not supported": (mxnet_package(model_type="Paddle"), MXNET, invalid("/model_type")),
    "config is no object": (written("[]"), MXNET, invalid("")),
    "config too long": (written('{"a": "' + "x" * 2**20 + '"}'), MXNET, {("FILE_TOO_LARGE", "config.json", None)}),
    "config too deep": (written(DEEP), MXNET, {("CONFIG_INVALID", "config.json", None)}),
    "config with half a character": (mxnet_package(runtime="\ud800"), MXNET, invalid("/runtime")),
    "too long a text": (mxnet_package(runtime="x" * 129), MXNET, invalid("/runtime")),
    "wrong types": (mxnet_package(metrics=[1], apis=7), MXNET, invalid("/metrics", "/apis")),
    "swr_location of no image": (mxnet_package(swr_location=SWR), MXNET, invalid("/swr_location")),
    "several apis": (mxnet_package(apis=[{"url": "/"}, {"url": "/b"}]), MXNET, invalid("/apis")),
    "too many dependencies": (mxnet_package(dependencies=[{}] * 101), MXNET, invalid("/dependencies")),
    "installers": (
        mxnet_package(
            dependencies=[{"installer": name, "packages": [SIX]} for name in ("conda", "yum", "apt-get", "npm")]
        ),
        MXNET,
        invalid(*(f"/dependencies/{position}/installer" for position in range(4))),
    ),
    "restraint": (
        mxnet_package(dependencies=dependency({**SIX, "restraint": "NEWEST"})),
        MXNET,
        invalid(f"{FIRST}/restraint"),
    ),
    "no package": (mxnet_package(dependencies=[{"installer": "pip"}, *dependency({})]), MXNET, invalid(
        "/dependencies/0", "/dependencies/1/packages/0"
    )),
    "version of a package": (
        mxnet_package(dependencies=dependency({**SIX, "package_version": "1.*.2", "restraint": "EXACT"})),
        MXNET,
        invalid(f"{FIRST}/package_version"),
    ),
    "content types": (
        mxnet_package(apis=[{"request": {"Content-type": "text/plain"}, "response": {"Content-type": "?"}}]),
        MXNET,
        invalid("/apis/0/request/Content-type", "/apis/0/response/Content-type"),
    ),
    "health check of an image": (of_image(health={"url": "health"}), IMAGE, invalid("/health/url")),
    "health check without command": (of_image(health={"check_method": "EXEC"}), IMAGE, invalid("/health")),
    "numbers of a health check": (
        of_image(health={"url": "/", "period_seconds": 0, "failure_threshold": "often"}),
        IMAGE,
        invalid("/health/period_seconds", "/health/failure_threshold"),
    ),
    "address of an image": (of_image(swr_location=f"https://{SWR}"), IMAGE, invalid("/swr_location")),
    "port of an image": (of_image(port=65536), IMAGE, invalid("/port")),
    "runtime of an image": (of_image(runtime="python3.7"), IMAGE, invalid("/runtime")),
    "an api twice": (of_image(apis=[{"url": "/a"}, {"url": "/a"}]), IMAGE, invalid("/apis/1")),
    "wrong name of the code": (
        {**without(pytorch_package(), CODE_PATH), "model/customise_service.py": CUSTOM_CODE},
        PYTORCH,
        {("INFERENCE_CODE_MISSING", "customize_service.py", None)},
    ),
    "code in a folder": (
        {**without(pytorch_package(), CODE_PATH), "model/src/customize_service.py": CUSTOM_CODE},
        PYTORCH,
        {("INFERENCE_CODE_MISSING", "customize_service.py", None)},
    ),
    "code is no Python": (
        {**mxnet_package(), CODE_PATH: b"class Service(:\n    pass\n"},
        MXNET,
        {("INFERENCE_CODE_INVALID", "customize_service.py", None)},
    ),
    "code is no text": (
        {**mxnet_package(), CODE_PATH: b"name = '\xff'\n"},
        MXNET,
        {("INFERENCE_CODE_INVALID", "customize_service.py", None)},
    ),
    "Keras for TensorFlow": (
        {"model/config.json": config(model_type="TensorFlow"), "model/model.h5": b"\x89HDF"},
        TENSORFLOW,
        {("UNSUPPORTED_FORMAT", "model.h5", None), ("MODEL_FILE_MISSING", None, None)},
    ),
    "half a model": (
        without(mxnet_package(), "model/resnet-0000.params"),
        MXNET,
        {("MODEL_FILE_MISSING", None, None)},
    ),
    "model of another engine": (
        {"model/config.json": config(), **network()},
        SCIKIT_LEARN,
        {("MODEL_FILE_MISSING", None, None)},
    ),
    "superfluous model file": (
        {**mxnet_package(), "model/old-symbol.json": b"{}"},
        MXNET,
        {("MODEL_FILE_NOT_UNIQUE", "old-symbol.json", None)},
    ),
}  # fmt: skip
HINTS = {
    "model of another engine": "MXNet",
    "wrong name of the code": "Rename model/customise_service.py",
    "code in a folder": "model/src/customize_service.py",
    "Keras for TensorFlow": "SavedModel",
    "installers": "pip knows it",
}


async def test_every_problem_of_a_package_has_its_code_its_place_and_a_hint(api: Api) -> None:
    for reason, (package, algorithm, _) in PACKAGES.items():
        version = await upload_job(api, package, job=reason.replace(" ", "-"), algorithm=algorithm)
        await api.import_version(reason.replace(" ", "-"), version)
    for reason, (_, _, expected) in PACKAGES.items():
        failed = await api.imported(reason.replace(" ", "-"), "0.0.1")
        assert (reason, failed["status"]) == (reason, "IMPORT_FAILED")
        assert (reason, set(found(failed["problems"]))) == (reason, expected)
        for problem in failed["problems"]:
            assert_told(problem)
        assert any(HINTS.get(reason, "") in problem["hint"] for problem in failed["problems"]), reason
    assert (await api.count("model_file"), await api.count("stored_blob")) == (0, 0)


async def test_a_batch_service_needs_declared_inputs_and_says_where(api: Api) -> None:
    failed = await import_package(api, mxnet_package(apis=None), deploymentTypes=["BATCH"])
    assert found(failed["problems"]) == [("BATCH_INPUTS_MISSING", "config.json", "/apis")]
    assert_told(failed["problems"][0])


CODES_OF_DOUBT: dict[str, bytes] = {
    "base class of another engine": CUSTOM_CODE,
    "no service": b"import json\n",
    "Python 2": b"print 'hello'\n",
    "two services": CUSTOM_CODE + b"\n\nclass Second(XgSklServingBaseService):\n    pass\n",
}


@pytest.mark.parametrize("doubt", CODES_OF_DOUBT)
async def test_doubtful_inference_code_is_imported_with_a_warning(api: Api, doubt: str) -> None:
    imported = await import_package(api, {**mxnet_package(), CODE_PATH: CODES_OF_DOUBT[doubt]})
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    assert "INFERENCE_CODE_DOUBTFUL" in {warning["code"] for warning in imported["warnings"]}


PREVIEW = """query ($input: ImportModelInput!) { previewImport(input: $input) {
    problems { code } warnings { code message hint ... on PackageProblem { file pointer } } } }"""
SAVED_MODEL = {f"model/1/{path}": b"x" for path in ("saved_model.pb", "variables/variables.index")}
# By reason: the package, its training job's algorithm, and a warning.
DOUBTS: dict[str, tuple[Package, dict[str, Any], Place]] = {
    "model-in-a-folder-of-its-version": (
        {
            "model/config.json": config(model_type="TensorFlow"),
            "model/1/variables/variables.data-00000-of-00001": b"x",
            **SAVED_MODEL,
        },
        TENSORFLOW,
        ("MODEL_FILE_MISPLACED", "1/saved_model.pb", None),
    ),
    "value-that-is-plainly-another": (
        mxnet_package(metrics={"f1": "0.93"}),
        MXNET,
        ("CONFIG_DOUBTFUL_VALUE", "config.json", "/metrics/f1"),
    ),
    "misspelt-key": (mxnet_package(metric={}), MXNET, ("CONFIG_UNKNOWN_KEY", "config.json", "/metric")),
}


@pytest.mark.parametrize("reason", DOUBTS)
async def test_what_is_only_doubtful_is_a_warning_that_says_what_to_write(api: Api, reason: str) -> None:
    package, algorithm, place = DOUBTS[reason]
    await upload_job(api, package, algorithm=algorithm)
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
    preview = (await api.ask(PREVIEW, input={"name": "iris", "source": source}))["previewImport"]
    assert preview["problems"] == []
    warnings = [warning for warning in preview["warnings"] if warning["code"] == place[0]]
    assert found(warnings) == [place]
    assert_told(warnings[0])


@pytest.fixture
async def strict_api(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with running_server(pool, database_url, data_dir, strict_modelarts=True) as running:
        yield running.client()


async def test_blanks_in_paths_are_refused_where_modelarts_own_limits_are_asked_for(strict_api: Api) -> None:
    failed = await import_package(strict_api, {**mxnet_package(), "model/my labels.txt": b"a"})
    assert found(failed["problems"]) == [("FILE_PATH_INVALID", "my labels.txt", None)]
    assert_told(failed["problems"][0])
    await grant_prefix(strict_api.pool, name="default", store="default", prefix="shared")
    before = await strict_api.counts()
    source = {"objectStorage": {"key": "shared/my iris"}}
    [error] = await strict_api.refused("importModel", name="iris", source=source)
    assert (error["code"], error["path"]) == ("LOCATION_REFUSED", ["source", "objectStorage"])
    assert "blank" in error["message"]
    assert await strict_api.counts() == before


async def test_unknown_keys_of_a_config_are_no_reason_to_refuse_it_however_strict(strict_api: Api) -> None:
    imported = await import_package(strict_api, mxnet_package(tuning="fine"))
    assert (imported["status"], imported["problems"]) == ("NORMAL", [])
    assert "CONFIG_UNKNOWN_KEY" in {warning["code"] for warning in imported["warnings"]}


async def test_blanks_in_paths_are_taken_otherwise(api: Api) -> None:
    imported = await import_package(api, {**mxnet_package(), "model/my labels.txt": b"a"})
    assert imported["status"] == "NORMAL"
