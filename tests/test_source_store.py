"""A package in a store that the operator has taken away since."""

from pathlib import Path
from typing import Any

from tests.api import Api
from tests.packages import MXNET, assert_told, blobs, mxnet_package, upload_job

PREVIEW = """query ($input: ImportModelInput!) { previewImport(input: $input) {
    isImportable fileCount problems { code message hint } } }"""


async def stranded(api: Api) -> dict[str, Any]:
    """The source of a training job version whose output was seen, and then lost its store."""
    job = await upload_job(api, mxnet_package(), algorithm=MXNET)
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": job}}
    await api.ask(PREVIEW, input={"name": "iris", "source": source})
    await api.pool.execute("UPDATE training_job_version SET output_store = 'attic'")
    return source


def assert_names_the_store(problems: list[dict[str, Any]]) -> None:
    (problem,) = problems
    assert problem["code"] == "STORE_UNAVAILABLE"
    assert "'attic'" in problem["message"]
    assert "configure" in problem["hint"]
    assert_told(problem)


async def test_a_preview_names_the_store(api: Api) -> None:
    source = await stranded(api)
    before = await api.counts()
    shown = (await api.ask(PREVIEW, input={"name": "iris", "source": source}))["previewImport"]
    assert (shown["isImportable"], shown["fileCount"]) == (False, None)
    assert_names_the_store(shown["problems"])
    assert await api.counts() == before


async def test_an_import_fails_with_the_store_s_name_at_its_first_attempt(api: Api, data_dir: Path) -> None:
    source = await stranded(api)
    payload = await api.mutate("importModel", "modelVersion { version }", name="iris", source=source)
    assert payload["errors"] == []
    failed = await api.imported("iris", "0.0.1")
    assert (failed["status"], failed["operation"]["attempts"]) == ("IMPORT_FAILED", 1)
    assert_names_the_store(failed["problems"])
    assert blobs(data_dir) == set()
