"""Every reason for which an import fails (modelarts_23_0054, 23_0091, 23_0092): its code, its words, and its page.

Reasons that other tests show through the API are theirs: test_bad_package, test_import_rules, test_import_source,
test_import_choice, test_model, test_training_job_output, test_model_signature, test_source_change, test_model_source.
"""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from db.connection import Pool
from gql.fault_code import FaultCode
from resolvers.errors import ErrorCode
from resolvers.workspace import grant_prefix
from server.settings import Placement
from tests.api import Api, RunningServer, config, running_server
from tests.object_stores import s3_server
from tests.packages import (
    CUSTOM_CODE,
    MXNET,
    SCIKIT_LEARN,
    TENSORFLOW,
    Package,
    dependency,
    found,
    import_package,
    mxnet_package,
    network,
    pytorch_package,
    retried,
    upload_job,
    without,
)

PAGE = (Path(__file__).parents[1] / "docs" / "errors.md").read_text()
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
    "installers": "image",
}


def assert_told(problem: dict[str, Any]) -> None:
    """It says what is wrong in a sentence, and what to do in another."""
    assert problem["message"].endswith("."), problem
    assert (problem["hint"] or "").endswith((".", "?")), problem


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
        assert HINTS.get(reason, "") in failed["problems"][-1]["hint"] + failed["problems"][0]["hint"], reason
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
    [error] = await api.refused("retryImport", modelVersion=named, dependencies=[])
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


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the page, without its head."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith(("| ", "|-"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("|-")][1:]


CATALOGUE = [row for heading in ("## The request", "## The package", "## The import") for row in rows(heading)]
FROM_MODELARTS = PAGE.split("\n## From ModelArts' codes to ours\n", 1)[1]
MODELARTS_CODES = (
    *(2775, 2791, 2794, 2795, 2798),
    *(3001, 3002, 3003, 3006, 3009, 3010, 3015, 3016, 3017, 3019, 3020, 3021, 3022, 3023, 3024),
    *range(3025, 3042),
    *(3043, 3044, 3045, 3047, 3048, 3049, 3050, 3052, 3053, 3063, 3064, 3065),
    *range(3070, 3081),
    *(3301, 3514, 3515, 3551, 3567, 3568, 3572, 3573, 3574, 3576, 3577, 3578, 3592, 3597, 3801, 4311, 5054),
    *(7004, 7005),
)


def test_each_code_of_ours_has_one_row_that_says_what_to_do() -> None:
    assert [row[0] for row in CATALOGUE if row[0] == ""] == []
    assert sorted(row[0].strip("`") for row in CATALOGUE) == sorted(ErrorCode)
    for code, modelarts, meaning, remedy in CATALOGUE:
        assert modelarts, code
        assert meaning.endswith((".", ")")), code
        assert remedy.endswith((".", ")")), code


def mentioned(text: str) -> set[int]:
    """The codes of ModelArts that a text names, those between the ends of a range too."""
    spans = re.findall(r"(?<![\d.])(\d{4})(?:-(\d{4}))?(?![\d.]*\d)", text)
    return {code for first, last in spans for code in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize("code", MODELARTS_CODES)
def test_every_code_of_modelarts_has_its_counterpart_or_a_reason_for_having_none(code: int) -> None:
    assert code in mentioned(FROM_MODELARTS)


def test_the_codes_of_modelarts_beside_ours_are_those_of_the_catalogue() -> None:
    assert mentioned(" ".join(row[1] for row in CATALOGUE)) <= mentioned(FROM_MODELARTS)


def test_every_code_of_ours_that_the_catalogue_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", FROM_MODELARTS))
    settings = {name for name in named if name.startswith("MODELYARD_")}
    assert named - settings <= {*ErrorCode, *FaultCode}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_is_met_in_a_test(code: str) -> None:
    tests = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    assert any(f'"{code}"' in text for text in tests)
