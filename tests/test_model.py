"""Asking for an import: what a request may say, the numbers it gets, repeating it, and trying a failed one again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.connection import Pool
from engines.runtime_catalogue import INSTALLED
from tests.api import Api, RunningServer, running_server, wait_for
from tests.packages import MXNET, NOTES, import_package, mxnet_package, upload_job

SOURCE = {"trainingJob": {"trainingJobName": "iris", "versionName": "V0001"}}
DOCUMENT = {"name": "guide", "url": "https://example.com/guide"}
SHOWN = """version status description labels documents { name url } deploymentTypes origin
    minimumInferenceSpecification { cpuCount memoryBytes gpuCount ascendCount } createdBy model { name nextVersion }
    source { ... on TrainingJobSource { trainingJobVersion { name trainingJob { name } } } }"""


@pytest.fixture
async def job(api: Api) -> str:
    """A completed version of the job `iris` that left no model: whatever is imported from it fails soon."""
    return await upload_job(api, NOTES, algorithm=MXNET)


async def refused(api: Api, mutation: str, /, **fields: Any) -> list[dict[str, Any]]:
    """The errors of a mutation, which must store nothing. What was asked for before is waited for."""

    async def is_idle() -> bool:
        return await api.count("pgqueuer") == 0

    await wait_for(is_idle)
    before = await api.counts()
    errors = await api.refused(mutation, **fields)
    assert await api.counts() == before
    return errors


async def versions_of(api: Api, name: str) -> list[tuple[str, str]]:
    document = (
        "query ($name: String!) { model(by: {name: $name}) { versions(first: 100) { nodes { version status } } } }"
    )
    found = (await api.ask(document, name=name))["model"]
    return [(node["version"], node["status"]) for node in found["versions"]["nodes"]]


async def ended(api: Api, *versions: str) -> None:
    for version in versions:
        await api.imported("iris", version)


REFUSED_VALUES: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": ""}, ["name"]),
    ({"name": "a b"}, ["name"]),
    ({"name": "naïve"}, ["name"]),
    ({"name": "iris\n"}, ["name"]),
    ({"name": "iris\0"}, ["name"]),
    ({"name": "x" * 65}, ["name"]),
    ({"version": ""}, ["version"]),
    ({"version": "1.0"}, ["version"]),
    ({"version": "01.0.0"}, ["version"]),
    ({"version": "1.0.100"}, ["version"]),
    ({"version": "1.0.-1"}, ["version"]),
    ({"version": "1.0.0\n"}, ["version"]),
    ({"version": "١.0.0"}, ["version"]),
    ({"description": "x" * 1_001}, ["description"]),
    ({"description": "half\0"}, ["description"]),
    ({"labels": ["a", "b", "c", "d", "e", "f"]}, ["labels"]),
    ({"labels": ["a", "1a"]}, ["labels", "1"]),
    ({"labels": ["a", "a"]}, ["labels", "1"]),
    ({"labels": ["a-b"]}, ["labels", "0"]),
    ({"labels": ["_a"]}, ["labels", "0"]),
    ({"labels": ["x" * 65]}, ["labels", "0"]),
    ({"documents": [DOCUMENT] * 4}, ["documents"]),
    ({"documents": [{**DOCUMENT, "name": "1st"}]}, ["documents", "0", "name"]),
    ({"documents": [{**DOCUMENT, "name": "x" * 49}]}, ["documents", "0", "name"]),
    ({"documents": [DOCUMENT, {**DOCUMENT, "url": "javascript:alert(1)"}]}, ["documents", "1", "url"]),
    ({"documents": [{**DOCUMENT, "url": "https://"}]}, ["documents", "0", "url"]),
    ({"documents": [{**DOCUMENT, "url": "https://example.com/a b"}]}, ["documents", "0", "url"]),
    ({"deploymentTypes": []}, ["deploymentTypes"]),
    ({"deploymentTypes": ["BATCH", "BATCH"]}, ["deploymentTypes"]),
    ({"minimumInferenceSpecification": {"cpuCount": 0}}, ["minimumInferenceSpecification", "cpuCount"]),
    ({"minimumInferenceSpecification": {"memoryBytes": -1}}, ["minimumInferenceSpecification", "memoryBytes"]),
    ({"minimumInferenceSpecification": {"gpuCount": 1e300}}, ["minimumInferenceSpecification", "gpuCount"]),
    ({"minimumInferenceSpecification": {"ascendCount": -2}}, ["minimumInferenceSpecification", "ascendCount"]),
    ({"dependencies": [{"package": "six"}, {"package": "-r secrets"}]}, ["dependencies", "1", "package"]),
    ({"dependencies": [{"package": "six @ http://127.0.0.1/six.whl"}]}, ["dependencies", "0", "package"]),
    ({"dependencies": [{"package": "../six-1.0-py3-none-any.whl"}]}, ["dependencies", "0", "package"]),
    ({"dependencies": [{"package": ""}]}, ["dependencies", "0", "package"]),
    ({"dependencies": [{"package": "six", "version": "1.0"}]}, ["dependencies", "0", "restraint"]),
    ({"dependencies": [{"package": "six", "restraint": "EXACT"}]}, ["dependencies", "0", "version"]),
    ({"dependencies": [{"package": "six", "version": "", "restraint": "EXACT"}]}, ["dependencies", "0", "version"]),
    (
        {"dependencies": [{"package": "six", "version": "1, <2", "restraint": "EXACT"}]},
        ["dependencies", "0", "version"],
    ),
    ({"dependencies": [{"package": "six", "installer": "conda"}]}, ["dependencies", "0", "installer"]),
    ({"dependencies": [{"package": "six"}] * 501}, ["dependencies"]),
    ({"idempotencyKey": ""}, ["idempotencyKey"]),
    ({"idempotencyKey": "x" * 201}, ["idempotencyKey"]),
    ({"idempotencyKey": "half\0"}, ["idempotencyKey"]),
]


async def test_a_value_that_breaks_its_rule_is_refused_at_its_place_and_stores_nothing(api: Api, job: str) -> None:
    for fields, path in REFUSED_VALUES:
        errors = await refused(api, "importModel", **{"name": "iris", "source": SOURCE, **fields})
        found = [(error["code"], error["path"]) for error in errors]
        assert found == [("INVALID_INPUT", path)], fields
        assert errors[0]["message"].endswith("."), fields


async def test_values_at_the_edge_of_their_rules_are_taken_and_shown_as_given(api: Api, job: str) -> None:
    given = {
        "version": "99.0.98",
        "description": "é & <b> " + "x" * 992,
        "labels": ["x" * 64, "标签", "a_1", "B", "c"],
        "documents": [
            {"name": "x" * 48, "url": "http://[::1]:8080/a?b=c#d"},
            {"name": "说明", "url": "https://例子.example/手册"},
            DOCUMENT,
        ],
        "deploymentTypes": ["EDGE", "REAL_TIME"],
        "minimumInferenceSpecification": {"cpuCount": 0.5, "memoryBytes": 2**52, "gpuCount": None, "ascendCount": 1},
    }
    payload = await api.mutate(
        "importModel", f"modelVersion {{ {SHOWN} }}", name="模型-" + "x" * 61, source=SOURCE, **given
    )
    assert payload["errors"] == []
    shown = payload["modelVersion"]
    assert {name: shown[name] for name in given} == given
    assert (shown["status"], shown["origin"], shown["createdBy"]) == (
        "IMPORTING",
        "CUSTOM_ALGORITHM",
        "MODELYARD_TOKEN",
    )
    assert shown["model"] == {"name": "模型-" + "x" * 61, "nextVersion": "99.0.99"}
    assert shown["source"]["trainingJobVersion"] == {"name": "V0001", "trainingJob": {"name": "iris"}}


async def test_everything_that_is_wrong_is_told_at_once(api: Api) -> None:
    await upload_job(api, NOTES, job="done")
    running = await api.record_job(status="RUNNING", region="elsewhere")
    source = {"trainingJob": {"trainingJobName": "done", "versionName": "V0001"}}
    await api.mutate("importModel", "__typename", name="iris", source=source)

    errors = await refused(
        api,
        "importModel",
        name="iris",
        source={"trainingJob": {"trainingJobName": "iris", "versionName": running}},
        version="0.0.1",
        labels=["1"],
        runtime="python2.7",
    )
    assert {error["code"]: error["path"] for error in errors} == {
        "INVALID_INPUT": ["labels", "0"],
        "RUNTIME_UNAVAILABLE": ["runtime"],
        "ALREADY_EXISTS": ["version"],
        "TRAINING_JOB_NOT_COMPLETED": ["source", "trainingJob", "versionName"],
        "REGION_MISMATCH": ["source", "trainingJob", "versionName"],
        "OUTPUT_EMPTY": ["source", "trainingJob", "versionName"],
    }


async def test_very_many_labels_are_refused_without_looking_at_each(api: Api, job: str) -> None:
    labels = [f"label_{number}" for number in range(100_000)]
    errors = await refused(api, "importModel", name="iris", source=SOURCE, labels=labels)
    assert [error["path"] for error in errors] == [["labels"]]


@pytest.fixture
async def strict_api(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with running_server(pool, database_url, data_dir, strict_modelarts=True) as running:
        yield running.client()


async def test_strict_installations_hold_descriptions_to_modelarts_own_limits(strict_api: Api) -> None:
    await upload_job(strict_api, NOTES, algorithm=MXNET)
    for description, count in (("x" * 101, 1), ("a & b", 1), ("<" * 101, 2)):
        errors = await refused(strict_api, "importModel", name="iris", source=SOURCE, description=description)
        assert [error["path"] for error in errors] == [["description"]] * count
    assert await strict_api.import_version("iris", "V0001", description="x" * 100) == "0.0.1"


@pytest.mark.parametrize("status", ["INITIALIZING", "QUEUED", "RUNNING", "STOPPING", "STOPPED", "FAILED", "LOST"])
async def test_only_a_job_that_completed_can_be_imported(api: Api, status: str) -> None:
    await upload_job(api, NOTES, status=status)
    (error,) = await refused(api, "importModel", name="iris", source=SOURCE)
    assert error["code"] == "TRAINING_JOB_NOT_COMPLETED"
    assert status in error["message"]
    assert "reportTrainingJobVersion" in error["hint"]


async def test_a_job_can_be_imported_once_it_is_reported_as_completed(api: Api) -> None:
    await upload_job(api, NOTES, status="RUNNING")
    await refused(api, "importModel", name="iris", source=SOURCE)
    report = {"trainingJobName": "iris", "versionName": "V0001", "status": "COMPLETED"}
    assert (await api.mutate("reportTrainingJobVersion", "__typename", **report))["errors"] == []
    assert await api.import_version("iris", "V0001") == "0.0.1"


async def test_a_source_that_is_not_there_is_refused_with_what_there_is(api: Api, job: str) -> None:
    for name, version, field, hint in (
        ("isis", "V0001", "trainingJobName", None),
        ("iris\0", "V0001", "trainingJobName", None),
        ("iris", "V0002", "versionName", "V0001"),
        ("iris", "latest", "versionName", "V0001"),
        ("iris", "V\0", "versionName", "V0001"),
    ):
        source = {"trainingJob": {"trainingJobName": name, "versionName": version}}
        (error,) = await refused(api, "importModel", name="iris", source=source)
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["source", "trainingJob", field])
        assert hint is None or hint in error["hint"]


async def test_another_workspaces_job_and_model_are_not_there(server: RunningServer, api: Api, job: str) -> None:
    await api.import_version("iris", "V0001")
    other = await server.client_of_new_workspace("other")
    (error,) = await refused(other, "importModel", name="iris", source=SOURCE)
    assert error["code"] == "NOT_FOUND"
    (error,) = await refused(other, "retryImport", modelVersion={"modelName": "iris", "version": "0.0.1"})
    assert error["code"] == "NOT_FOUND"
    assert (await other.ask('{ model(by: {name: "iris"}) { id } }'))["model"] is None
    assert await other.version("iris", "0.0.1", "id") is None

    await upload_job(other, NOTES, algorithm=MXNET)
    assert await other.import_version("iris", "V0001") == "0.0.1"


async def test_numbers_begin_at_0_0_1_and_go_on_after_the_highest_ever_used(api: Api, job: str) -> None:
    assert await api.import_version("iris", "V0001") == "0.0.1"
    assert await api.import_version("iris", "V0001") == "0.0.2"
    assert await api.import_version("iris", "V0001", version="0.0.0") == "0.0.0"
    assert await api.import_version("iris", "V0001", version="2.5.0") == "2.5.0"
    assert await api.import_version("iris", "V0001", version="1.0.0") == "1.0.0"
    assert await api.import_version("iris", "V0001") == "2.5.1"
    listed = [version for version, _ in await versions_of(api, "iris")]
    assert listed == ["2.5.1", "2.5.0", "1.0.0", "0.0.2", "0.0.1", "0.0.0"]


async def test_numbers_carry_at_99_and_end_at_99_99_99(api: Api, job: str) -> None:
    for used, following in (("0.0.99", "0.1.0"), ("0.99.99", "1.0.0")):
        await api.import_version("iris", "V0001", version=used)
        assert await api.import_version("iris", "V0001") == following
    await api.import_version("iris", "V0001", version="99.99.99")
    assert (await api.ask('{ model(by: {name: "iris"}) { nextVersion versionCount } }'))["model"] == {
        "nextVersion": None,
        "versionCount": 5,
    }
    (error,) = await refused(api, "importModel", name="iris", source=SOURCE)
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["version"])
    (error,) = await refused(api, "importModel", name="iris", source=SOURCE, version="99.99.99")
    assert (error["code"], error["nextVersion"]) == ("ALREADY_EXISTS", None)
    assert await api.import_version("iris", "V0001", version="50.0.0") == "50.0.0"


async def test_a_number_in_use_or_once_used_is_refused_with_the_next_one(api: Api, job: str) -> None:
    await api.import_version("iris", "V0001", version="0.3.0")
    await api.import_version("iris", "V0001", version="0.1.0")
    (error,) = await refused(api, "importModel", name="iris", source=SOURCE, version="0.1.0")
    assert (error["__typename"], error["code"], error["path"]) == ("AlreadyExistsError", "ALREADY_EXISTS", ["version"])
    assert error["nextVersion"] == "0.3.1"
    assert "0.3.1" in error["hint"]

    await ended(api, "0.1.0", "0.3.0")
    await api.pool.execute("UPDATE model_version SET deleted_at = now() WHERE version = '0.3.0'")
    for version in ("0.1.0", "0.3.0"):
        (error,) = await refused(api, "importModel", name="iris", source=SOURCE, version=version)
        assert (error["code"], error["nextVersion"]) == ("ALREADY_EXISTS", "0.3.1")


async def test_fifty_imports_of_one_name_at_once_get_fifty_numbers_without_a_gap(api: Api, job: str) -> None:
    numbers = await asyncio.gather(*(api.import_version("iris", "V0001") for _ in range(50)))
    assert sorted(int(number.removeprefix("0.0.")) for number in numbers) == list(range(1, 51))
    assert await api.count("model_version") == await api.count("operation") == 50
    found = (await api.ask('{ model(by: {name: "iris"}) { versionCount nextVersion } }'))["model"]
    assert found == {"versionCount": 50, "nextVersion": "0.0.51"}


async def test_the_same_number_asked_for_at_once_is_given_out_once(api: Api, job: str) -> None:
    payloads = await asyncio.gather(
        *(api.mutate("importModel", "__typename", name="iris", source=SOURCE, version="1.0.0") for _ in range(10))
    )
    refusals = [payload["errors"] for payload in payloads if payload["errors"]]
    assert [(error["code"], error["nextVersion"]) for (error,) in refusals] == [("ALREADY_EXISTS", "1.0.1")] * 9
    assert await api.count("model_version") == await api.count("operation") == 1


async def test_the_same_request_with_the_same_key_gets_the_first_answer_again(api: Api, job: str) -> None:
    fields = {"labels": ["a"], "idempotencyKey": "k"}
    versions = await asyncio.gather(*(api.import_version("iris", "V0001", **fields) for _ in range(10)))
    assert set(versions) == {"0.0.1"}
    assert await api.count("model_version") == 1
    await ended(api, "0.0.1")
    payload = await api.mutate("importModel", "modelVersion { version status }", name="iris", source=SOURCE, **fields)
    assert payload == {"modelVersion": {"version": "0.0.1", "status": "IMPORT_FAILED"}, "errors": []}

    (error,) = await refused(api, "importModel", name="iris", source=SOURCE, **{**fields, "labels": ["b"]})
    assert (error["code"], error["path"]) == ("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])
    retry = {"modelVersion": {"modelName": "iris", "version": "0.0.1"}, "idempotencyKey": "k"}
    (error,) = await refused(api, "retryImport", **retry)
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_refused_request_does_not_use_up_its_key(api: Api, job: str) -> None:
    await refused(api, "importModel", name="iris", source=SOURCE, labels=["1"], idempotencyKey="k")
    assert await api.import_version("iris", "V0001", labels=["a"], idempotencyKey="k") == "0.0.1"


async def test_keys_of_other_workspaces_are_others(server: RunningServer, api: Api, job: str) -> None:
    other = await server.client_of_new_workspace("other")
    await upload_job(other, NOTES, algorithm=MXNET)
    await api.import_version("iris", "V0001", labels=["a"], idempotencyKey="k")
    assert await other.import_version("iris", "V0001", labels=["b"], idempotencyKey="k") == "0.0.1"


async def test_a_failed_version_keeps_its_number_and_the_latest_is_the_highest_normal_one(api: Api) -> None:
    await import_package(api, mxnet_package(), version="0.2.0")
    await import_package(api, mxnet_package(), version="0.1.0")
    assert (await import_package(api, NOTES, version="0.3.0"))["status"] == "IMPORT_FAILED"
    found = await api.ask('{ model(by: {name: "iris"}) { nextVersion latestVersion { version } versionCount } }')
    assert found["model"] == {"nextVersion": "0.3.1", "latestVersion": {"version": "0.2.0"}, "versionCount": 3}
    assert await versions_of(api, "iris") == [("0.3.0", "IMPORT_FAILED"), ("0.2.0", "NORMAL"), ("0.1.0", "NORMAL")]


async def test_a_model_whose_imports_all_failed_has_no_latest_version(api: Api, job: str) -> None:
    await api.import_version("iris", "V0001")
    await ended(api, "0.0.1")
    found = await api.ask('{ model(by: {name: "iris"}) { latestVersion { version } } }')
    assert found["model"] == {"latestVersion": None}


async def test_versions_can_be_asked_for_by_what_became_of_them(api: Api) -> None:
    await import_package(api, mxnet_package())
    await import_package(api, NOTES)
    document = """query ($status: [ModelVersionStatus!]) {
        modelVersions(filter: {status: $status}) { nodes { version } } }"""
    for status, versions in (
        (["NORMAL"], ["0.0.1"]),
        (["IMPORT_FAILED", "BUILD_FAILED"], ["0.0.2"]),
        (["IMPORTING"], []),
        ([], []),
    ):
        nodes = (await api.ask(document, status=status))["modelVersions"]["nodes"]
        assert [node["version"] for node in nodes] == versions


async def test_versions_are_found_by_id_and_by_name_and_what_names_nothing_is_null(api: Api, job: str) -> None:
    await api.import_version("iris", "V0001")
    found = await api.version("iris", "0.0.1", "id model { id }")
    by_id = await api.ask(
        """query ($version: ID!, $model: ID!) {
            modelVersion(by: {id: $version}) { version } model(by: {id: $model}) { name } }""",
        version=found["id"],
        model=found["model"]["id"],
    )
    assert by_id == {"modelVersion": {"version": "0.0.1"}, "model": {"name": "iris"}}
    for name, version in (("iris", "0.0.2"), ("iris", "0.0.01"), ("iris", ""), ("isis", "0.0.1"), ("iris\0", "0.0.1")):
        assert await api.version(name, version, "id") is None
    assert (await api.ask('{ model(by: {name: "iris\\u0000"}) { id } }'))["model"] is None


async def test_a_failed_import_can_be_tried_again_once_its_package_is_mended(api: Api) -> None:
    version = await upload_job(api, NOTES, algorithm=MXNET)
    number = await api.import_version("iris", version, labels=["a"])
    failed = await api.imported("iris", number)
    assert failed["status"] == "IMPORT_FAILED"

    await api.upload("iris", version, mxnet_package())
    payload = await api.mutate(
        "retryImport",
        "modelVersion { status version revision problems { code } operation { state } }",
        modelVersion={"modelName": "iris", "version": number},
        expectedRevision=failed["revision"],
    )
    assert payload["errors"] == []
    assert (payload["modelVersion"]["version"], payload["modelVersion"]["problems"]) == (number, [])
    assert payload["modelVersion"]["revision"] > failed["revision"]
    assert (await api.imported("iris", number))["status"] == "NORMAL"
    assert (await api.version("iris", number, "labels"))["labels"] == ["a"]
    assert (await api.count("model_version"), await api.count("operation")) == (1, 2)


async def test_a_retry_that_cannot_be_done_is_refused_and_stores_nothing(api: Api) -> None:
    await import_package(api, mxnet_package())
    failed = await import_package(api, NOTES)
    normal, broken = {"modelName": "iris", "version": "0.0.1"}, {"modelName": "iris", "version": "0.0.2"}
    cases: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"modelVersion": normal}, "INVALID_STATE", ["modelVersion"]),
        ({"modelVersion": {**normal, "version": "0.0.3"}}, "NOT_FOUND", ["modelVersion", "version"]),
        ({"modelVersion": {**normal, "version": "x"}}, "NOT_FOUND", ["modelVersion", "version"]),
        ({"modelVersion": {**normal, "modelName": "isis"}}, "NOT_FOUND", ["modelVersion", "modelName"]),
        ({"modelVersion": {**normal, "modelName": "iris\0"}}, "NOT_FOUND", ["modelVersion", "modelName"]),
        ({"modelVersion": broken, "runtime": "python2.7"}, "RUNTIME_UNAVAILABLE", ["runtime"]),
        (
            {"modelVersion": broken, "dependencies": [{"package": "-e ."}]},
            "INVALID_INPUT",
            ["dependencies", "0", "package"],
        ),
    ]
    for fields, code, path in cases:
        (error,) = await refused(api, "retryImport", **fields)
        assert (error["code"], error["path"]) == (code, path)

    (error,) = await refused(api, "retryImport", modelVersion=broken, expectedRevision=failed["revision"] - 1)
    assert (error["__typename"], error["code"]) == ("ConflictError", "CONFLICT")
    assert error["actualRevision"] == failed["revision"]


async def test_an_unknown_runtime_is_refused_with_those_there_are(api: Api, job: str) -> None:
    (error,) = await refused(api, "importModel", name="iris", source=SOURCE, runtime="python3.6")
    assert (error["code"], error["path"]) == ("RUNTIME_UNAVAILABLE", ["runtime"])
    assert INSTALLED in error["hint"]


async def test_a_retry_asked_for_several_times_at_once_happens_once(api: Api) -> None:
    await import_package(api, NOTES)
    fields = {"modelVersion": {"modelName": "iris", "version": "0.0.1"}}
    payloads = await asyncio.gather(*(api.mutate("retryImport", "__typename", **fields) for _ in range(5)))
    codes = [error["code"] for payload in payloads for error in payload["errors"]]
    assert codes == ["INVALID_STATE"] * len(codes)
    assert await api.count("operation") == 1 + len(payloads) - len(codes)

    await api.imported("iris", "0.0.1")
    before = await api.count("operation")
    keyed = {**fields, "idempotencyKey": "k"}
    payloads = await asyncio.gather(*(api.mutate("retryImport", "__typename", **keyed) for _ in range(5)))
    assert [payload["errors"] for payload in payloads] == [[]] * 5
    assert await api.count("operation") == before + 1
