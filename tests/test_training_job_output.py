"""What lies in a training job version's output: whether there is something to import, and everything against it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from resolvers.workspace import grant_prefix
from tests.api import Api, running_server
from tests.packages import MXNET, NOTES, mxnet_package, upload_job
from tests.reading_api import reading_api

SHOWN = """name isImportable importBlockers { code message path hint } modelDirectory { key } output { key }
    outputContents { objectCount sizeBytes lastModifiedAt checkedAt isNewerThanTraining }"""
SOURCE = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
SHARED = "shared/iris"


async def shown(api: Api, **restrictions: Any) -> list[Any]:
    """The versions that a filter leaves, the oldest first."""
    document = f"""query ($filter: TrainingJobVersionFilter) {{
        trainingJobVersions(filter: $filter, orderBy: {{field: CREATED_AT}}) {{ nodes {{ {SHOWN} }} }} }}"""
    nodes: list[Any] = (await api.ask(document, filter=restrictions))["trainingJobVersions"]["nodes"]
    return nodes


def codes(version: Any) -> list[str]:
    return [blocker["code"] for blocker in version["importBlockers"]]


def put(data_dir: Path, path: str, data: bytes = b"x") -> None:
    """A file in the store, as another program leaves it there."""
    file = data_dir / "objects" / SHARED / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


async def record_shared(api: Api, **fields: Any) -> str:
    """A new version whose output is the shared folder, which the workspace is granted."""
    await grant_prefix(api.pool, name="default", store="default", prefix="shared")
    return await api.record_job(output={"key": SHARED}, algorithm=MXNET, **fields)


async def refused_import(api: Api) -> list[Any]:
    before = await api.counts()
    errors = await api.refused("importModel", name="iris", source=SOURCE)
    assert await api.counts() == before
    return errors


async def test_an_assigned_output_is_empty_and_says_where_the_package_goes(api: Api) -> None:
    await api.record_job()
    (version,) = await shown(api)
    assert (version["isImportable"], codes(version)) == (False, ["OUTPUT_EMPTY"])
    assert version["modelDirectory"]["key"] in version["importBlockers"][0]["hint"]
    contents = version["outputContents"]
    assert (contents["objectCount"], contents["sizeBytes"], contents["lastModifiedAt"]) == (0, 0, None)
    assert contents["checkedAt"] is not None
    (error,) = await refused_import(api)
    assert error["code"] == "OUTPUT_EMPTY"
    assert error["path"] == ["source", "trainingJob", "versionName"]
    assert version["modelDirectory"]["key"] in error["hint"]


async def test_a_version_can_be_chosen_as_soon_as_its_upload_is_acknowledged(api: Api) -> None:
    for _ in range(2):
        await api.record_job()
    await api.upload("iris", "V0002", {"model/a": b"1234", "model/b": b"56"})
    (version,) = await shown(api, isImportable=True)
    assert (version["name"], version["importBlockers"]) == ("V0002", [])
    assert (version["outputContents"]["objectCount"], version["outputContents"]["sizeBytes"]) == (2, 6)
    assert [other["name"] for other in await shown(api, isImportable=False)] == ["V0001"]
    await api.upload("iris", "V0002", {"model/a": b"another", "model/c": b""})
    (version,) = await shown(api, isImportable=True)
    assert (version["outputContents"]["objectCount"], version["outputContents"]["sizeBytes"]) == (3, 9)


@pytest.mark.parametrize(
    ("finished_at", "is_newer"), [("2026-01-31T12:00:00Z", True), ("2999-01-31T12:00:00Z", False), (None, None)]
)
async def test_files_written_after_the_training_ended_are_shown_as_such(
    api: Api, finished_at: str | None, is_newer: bool | None
) -> None:
    await upload_job(api, NOTES, finishedAt=finished_at)
    (version,) = await shown(api)
    assert version["isImportable"]
    assert version["outputContents"]["isNewerThanTraining"] is is_newer


async def test_a_granted_output_is_looked_at_when_it_is_recorded_and_when_the_job_completes(
    api: Api, data_dir: Path
) -> None:
    put(data_dir, "V0001/model/a", b"12345")
    await record_shared(api, status="RUNNING")
    (version,) = await shown(api)
    assert (version["outputContents"]["objectCount"], codes(version)) == (1, ["TRAINING_JOB_NOT_COMPLETED"])
    put(data_dir, "V0001/model/b", b"67")
    report = {"trainingJobName": "iris", "versionName": "V0001"}
    for changes, count in (({"statusMessage": "soon"}, 1), ({"status": "COMPLETED"}, 2)):
        assert (await api.mutate("reportTrainingJobVersion", "__typename", **report, **changes))["errors"] == []
        (version,) = await shown(api)
        assert version["outputContents"]["objectCount"] == count
    assert version["outputContents"]["sizeBytes"] == 7
    assert version["isImportable"]


async def test_files_put_straight_into_the_store_are_found_by_the_import(api: Api, data_dir: Path) -> None:
    await record_shared(api)
    (version,) = await shown(api)
    assert codes(version) == ["OUTPUT_EMPTY"]
    assert f"{SHARED}/model" in version["importBlockers"][0]["hint"]
    for path, data in mxnet_package().items():
        put(data_dir, path, data)
    number = await api.import_version("iris", "V0001")
    (version,) = await shown(api)
    assert (version["isImportable"], version["outputContents"]["objectCount"]) == (True, len(mxnet_package()))
    assert (await api.imported("iris", number))["status"] == "NORMAL"


async def test_an_output_that_was_emptied_is_refused_and_shown_as_empty(api: Api, data_dir: Path) -> None:
    put(data_dir, "model/a")
    await record_shared(api)
    assert (await shown(api))[0]["isImportable"]
    shutil.rmtree(data_dir / "objects" / SHARED)
    assert [error["code"] for error in await refused_import(api)] == ["OUTPUT_EMPTY"]
    (version,) = await shown(api)
    assert (version["outputContents"]["objectCount"], codes(version)) == (0, ["OUTPUT_EMPTY"])


async def test_a_preview_looks_too(api: Api, data_dir: Path) -> None:
    await record_shared(api)
    document = """query ($input: ImportModelInput!) {
        previewImport(input: $input) { isImportable errors { code } } }"""
    given = {"name": "iris", "source": SOURCE}
    assert (await api.ask(document, input=given))["previewImport"] == {
        "isImportable": False,
        "errors": [{"code": "OUTPUT_EMPTY"}],
    }
    for path, data in mxnet_package().items():
        put(data_dir, path, data)
    assert (await api.ask(document, input=given))["previewImport"] == {"isImportable": True, "errors": []}


async def test_an_output_whose_store_does_not_answer_is_not_called_empty(api: Api) -> None:
    await api.record_job()
    await api.pool.execute("UPDATE training_job_version SET output_store = 'gone'")
    (error,) = await refused_import(api)
    assert (error["code"], error["path"]) == ("STORE_UNAVAILABLE", ["source", "trainingJob", "versionName"])
    (version,) = await shown(api)
    assert (version["isImportable"], version["outputContents"]) == (False, None)
    assert codes(version) == ["STORE_UNAVAILABLE"]
    await api.pool.execute("UPDATE training_job_version SET output_store = 'default'")
    assert [error["code"] for error in await refused_import(api)] == ["OUTPUT_EMPTY"]


async def test_what_was_seen_stays_known_while_its_store_does_not_answer(api: Api) -> None:
    await upload_job(api, NOTES)
    await api.pool.execute("UPDATE training_job_version SET output_store = 'gone'")
    number = await api.import_version("iris", "V0001")
    failed = await api.imported("iris", number)
    assert failed["status"] == "IMPORT_FAILED"
    (version,) = await shown(api)
    assert version["isImportable"]


async def fill(api: Api, data_dir: Path) -> None:
    """Versions with everything and with each thing that an import needs missing."""
    put(data_dir, "model/a")
    await record_shared(api)
    await record_shared(api, status="FAILED")
    await record_shared(api, region="elsewhere")
    await api.record_job()
    await api.record_job(status="RUNNING", region="elsewhere")
    await record_shared(api)
    # As it is where the store did not answer.
    await api.pool.execute(
        """UPDATE training_job_version
        SET output_object_count = NULL, output_size_bytes = NULL, output_modified_at = NULL, output_checked_at = NULL
        WHERE number = 6"""
    )


BLOCKERS = {
    "V0001": [],
    "V0002": ["TRAINING_JOB_NOT_COMPLETED"],
    "V0003": ["REGION_MISMATCH"],
    "V0004": ["OUTPUT_EMPTY"],
    "V0005": ["TRAINING_JOB_NOT_COMPLETED", "REGION_MISMATCH", "OUTPUT_EMPTY"],
    "V0006": ["STORE_UNAVAILABLE"],
}


@pytest.mark.parametrize("plans", [True, False])
@pytest.mark.parametrize("arm_version", [False, True])
async def test_the_filter_and_the_field_agree_with_plans_and_without(
    database_url: str, data_dir: Path, *, plans: bool, arm_version: bool
) -> None:
    async with reading_api(database_url, data_dir, plans=plans, arm_version=arm_version) as reading:
        await fill(reading.api, data_dir)
        blocked = {version["name"]: codes(version) for version in await shown(reading.api)}
        arm = ["ARM_UNSUPPORTED"] if arm_version else []
        assert blocked == {name: arm + others for name, others in BLOCKERS.items()}
        for is_importable in (True, False):
            found = await shown(reading.api, isImportable=is_importable)
            assert [version["name"] for version in found] == [
                name for name in blocked if (not blocked[name]) is is_importable
            ]
            assert {version["isImportable"] for version in found} <= {is_importable}


async def test_an_arm_version_tells_its_rule_beside_everything_else(
    pool: Pool, database_url: str, data_dir: Path
) -> None:
    async with running_server(pool, database_url, data_dir, arm_version=True) as server:
        api = server.client()
        await api.record_job(status="RUNNING")
        told = [(error["code"], error["path"]) for error in await refused_import(api)]
        assert told == [
            ("ARM_UNSUPPORTED", ["source", "trainingJob"]),
            ("TRAINING_JOB_NOT_COMPLETED", ["source", "trainingJob", "versionName"]),
            ("OUTPUT_EMPTY", ["source", "trainingJob", "versionName"]),
        ]
