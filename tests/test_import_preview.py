"""previewImport: what an import would do, found by the import's own code, with nothing stored."""

from pathlib import Path
from typing import Any

from engines.runtime_catalogue import INSTALLED
from tests.api import Api
from tests.packages import (
    MXNET,
    SCIKIT_LEARN,
    blobs,
    dependency,
    foreign_pickle,
    found,
    import_package,
    mxnet_package,
    scikit_learn_package,
    shell_pickle,
    upload_job,
)

PREVIEW = """query ($input: ImportModelInput!) { previewImport(input: $input) {
    isImportable version errors { code path }
    problems { __typename code message path hint ... on PackageProblem { file pointer expected actual } }
    warnings { code ... on PackageProblem { file } }
    modelDirectory { store key } fileCount sizeBytes modelPath inferenceCode aiEngine algorithm requestedRuntime runtime
    requirements deploymentTypes deployableAs apis { url inputs { name type } } dependencies { package version }
    metrics { f1 accuracy } healthCheck { url } config } }"""
SHARED = """sizeBytes aiEngine algorithm requestedRuntime runtime deploymentTypes deployableAs
    apis { url inputs { name type } } dependencies { package version } metrics { f1 accuracy } healthCheck { url }
    config"""


async def preview(api: Api, job: str, version: str, /, **fields: Any) -> Any:
    source = {"trainingJob": {"trainingJobName": job, "versionName": version}}
    answer = await api.ask(PREVIEW, input={"name": "iris", "source": source, **fields})
    return answer["previewImport"]


async def test_a_preview_says_what_the_import_then_does_and_stores_nothing(api: Api, data_dir: Path) -> None:
    needs = dependency({"package_name": "pandas", "package_version": "2.3.3", "restraint": "EXACT"})
    package = mxnet_package(dependencies=needs, metrics={"f1": 0.5})
    job = await upload_job(api, package, algorithm=MXNET, metrics=[{"name": "accuracy", "value": 0.75}])
    before = await api.counts()
    shown = await preview(api, "iris", job)
    assert await api.counts() == before
    assert blobs(data_dir) == set()
    assert (shown["isImportable"], shown["version"], shown["problems"]) == (True, "0.0.1", [])
    version = await api.import_version("iris", job)
    imported = await api.imported("iris", version)
    assert imported["status"] == "NORMAL"
    same = await api.version("iris", version, SHARED)
    assert {name: shown[name] for name in same} == same
    assert shown["fileCount"] == len(package)
    assert [warning["code"] for warning in shown["warnings"]] == [warning["code"] for warning in imported["warnings"]]
    assert shown["modelDirectory"]["key"].endswith(f"{job}/model")


async def test_a_preview_tells_the_problems_of_the_import_and_those_of_the_request_together(api: Api) -> None:
    package = {
        "model/config.json": mxnet_package(runtime="python9.9", model_type="Scikit_Learn")["model/config.json"],
        "model/model.pkl": shell_pickle(),
        "model/other.pickle": foreign_pickle(),
        "model/Dockerfile": b"FROM scratch",
    }
    job = await upload_job(api, package, algorithm=SCIKIT_LEARN)
    before = await api.counts()
    shown = await preview(api, "iris", job, labels=["1"], version="01.0.0")
    assert await api.counts() == before
    assert not shown["isImportable"]
    assert [tuple(error["path"]) for error in shown["errors"]] == [("version",), ("labels", "0")]
    imported = await import_package(api, package, algorithm=SCIKIT_LEARN)
    assert imported["status"] == "IMPORT_FAILED"
    assert set(found(shown["problems"])) == set(found(imported["problems"]))


async def test_a_preview_of_a_package_that_is_not_there_says_where_it_is_looked_for(api: Api) -> None:
    job = await upload_job(api, {"out/readme.txt": b"nothing"}, algorithm=MXNET)
    shown = await preview(api, "iris", job)
    assert found(shown["problems"]) == [("MODEL_DIRECTORY_MISSING", None, None)]
    assert (shown["fileCount"], shown["aiEngine"], shown["apis"]) == (None, None, [])


async def test_a_preview_from_an_unknown_job_is_refused_with_everything_else(api: Api) -> None:
    shown = await preview(api, "nothing", "V0001", name="a b")
    assert {(error["code"], tuple(error["path"])) for error in shown["errors"]} == {
        ("INVALID_INPUT", ("name",)),
        ("NOT_FOUND", ("source", "trainingJob", "trainingJobName")),
    }


async def test_a_preview_shows_the_next_version_and_a_number_that_is_taken(api: Api) -> None:
    job = await upload_job(api, mxnet_package(), algorithm=MXNET)
    await api.import_version("iris", job, version="2.0.99")
    assert (await preview(api, "iris", job))["version"] == "2.1.0"
    taken = await preview(api, "iris", job, version="2.0.99")
    assert [error["code"] for error in taken["errors"]] == ["ALREADY_EXISTS"]


async def test_a_preview_takes_the_importer_s_choices_into_account(api: Api) -> None:
    job = await upload_job(api, scikit_learn_package(runtime="python3.6"), algorithm=SCIKIT_LEARN)
    refused = await preview(api, "iris", job)
    assert found(refused["problems"]) == [("RUNTIME_UNAVAILABLE", "config.json", "/runtime")]
    shown = await preview(api, "iris", job, runtime=INSTALLED, dependencies=[{"package": "pandas"}])
    assert (shown["isImportable"], shown["requestedRuntime"], shown["runtime"]) == (True, "python3.6", INSTALLED)
    assert "pandas" in shown["requirements"]
    assert [warning["code"] for warning in shown["warnings"]] == ["RUNTIME_SUBSTITUTED"]


async def test_a_mode_that_the_template_has_not_is_an_error_of_the_preview_too(api: Api) -> None:
    template = {"template": "scikit-learn", "location": {"key": "shared/iris"}, "inputOutputMode": "OBJECT_DETECTION"}
    shown = await api.ask(PREVIEW, input={"name": "iris", "source": {"template": template}})
    paths = {tuple(error["path"]) for error in shown["previewImport"]["errors"]}
    assert ("source", "template", "inputOutputMode") in paths


async def test_what_the_request_shows_is_not_told_again_as_the_package_s(api: Api) -> None:
    job = await upload_job(api, mxnet_package(), algorithm=MXNET)
    shown = await preview(api, "iris", job, config="{ broken", apis=[{"url": "/x"}], runtime="python3.6", version="1.0")
    assert [tuple(error["path"]) for error in shown["errors"]] == [
        ("version",),
        ("config",),
        ("apis", "0", "url"),
        ("runtime",),
    ]
    assert (shown["problems"], shown["version"]) == ([], None)


async def test_a_preview_says_that_all_numbers_are_used(api: Api) -> None:
    job = await upload_job(api, mxnet_package(), algorithm=MXNET)
    await api.import_version("iris", job, version="99.99.99")
    shown = await preview(api, "iris", job)
    assert (shown["isImportable"], shown["version"]) == (False, None)
    assert [tuple(error["path"]) for error in shown["errors"]] == [("version",)]
