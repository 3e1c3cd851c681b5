"""Reports on training jobs: what became of a version, and what a report may not change."""

import asyncio
from typing import Any

import pytest

from tests.api import Api
from tests.packages import NOTES, upload_job
from tests.training_jobs import record, refused, refused_values, report


async def test_a_report_changes_what_it_says_and_leaves_the_rest(api: Api) -> None:
    await record(api, status="QUEUED", metrics=[{"name": "f1", "value": 0.5}])
    shown = await report(api, "V0001", status="RUNNING", startedAt="2026-01-31T12:00:00Z")
    assert (shown["status"], shown["revision"], shown["isImportable"]) == ("RUNNING", 2, False)
    assert shown["importBlockers"] == [{"code": "TRAINING_JOB_NOT_COMPLETED"}, {"code": "OUTPUT_EMPTY"}]
    shown = await report(
        api,
        "V0001",
        status="COMPLETED",
        statusMessage="done",
        finishedAt="2026-01-31T12:01:00Z",
        metrics=[{"name": "f1", "value": 0.9}, {"name": "recall", "value": 0.8}],
    )
    assert (shown["status"], shown["statusMessage"], shown["durationSeconds"]) == ("COMPLETED", "done", 60)
    assert shown["importBlockers"] == [{"code": "OUTPUT_EMPTY"}]
    assert shown["metrics"] == [{"name": "f1", "value": 0.9}, {"name": "recall", "value": 0.8}]
    shown = await report(api, "V0001", metrics=[])
    assert (shown["metrics"], shown["statusMessage"], shown["revision"]) == ([], "done", 4)


@pytest.mark.parametrize("name", ["V0001", "V1", "v001"])
async def test_a_version_is_known_by_its_shorter_names_too(api: Api, name: str) -> None:
    await record(api, status="RUNNING")
    assert (await report(api, name, status="COMPLETED"))["name"] == "V0001"


REPORT_REFUSALS: list[tuple[dict[str, Any], list[str]]] = [
    ({"statusMessage": "x" * 4_001}, ["statusMessage"]),
    ({"statusMessage": "half\0"}, ["statusMessage"]),
    ({"metrics": [{"name": "", "value": 1.0}]}, ["metrics", "0", "name"]),
    ({"metrics": [{"name": "a", "value": 1.0}] * 2}, ["metrics", "1", "name"]),
    ({"finishedAt": "2026-01-31T11:59:59Z"}, ["finishedAt"]),
    ({"idempotencyKey": ""}, ["idempotencyKey"]),
]


async def test_a_report_that_breaks_a_rule_is_refused_at_its_place_and_changes_nothing(api: Api) -> None:
    await record(api, status="RUNNING", startedAt="2026-01-31T12:00:00Z")
    fields = {"trainingJobName": "iris", "versionName": "V0001", "status": "COMPLETED"}
    await refused_values(api, "reportTrainingJobVersion", fields, REPORT_REFUSALS)
    assert await api.pool.fetchval("SELECT (status, revision) FROM training_job_version") == ("RUNNING", 1)


@pytest.mark.parametrize("ended", ["STOPPED", "COMPLETED", "FAILED"])
async def test_a_version_that_ended_stays_as_it_ended(api: Api, ended: str) -> None:
    await record(api, status=ended)
    for status in {"RUNNING", "LOST", "STOPPED", "COMPLETED", "FAILED"} - {ended}:
        (error,) = await refused(
            api, "reportTrainingJobVersion", trainingJobName="iris", versionName="V0001", status=status
        )
        assert (error["code"], error["path"]) == ("INVALID_STATE", ["status"])
    assert (await report(api, "V0001", status=ended, statusMessage="again"))["revision"] == 2


async def test_a_lost_version_may_be_found_again(api: Api) -> None:
    await upload_job(api, NOTES, status="LOST")
    assert (await report(api, "V0001", status="COMPLETED"))["isImportable"]


async def test_a_report_on_what_is_not_there_is_refused_with_what_there_is(api: Api) -> None:
    await record(api)
    for job, version, path, hint in (
        ("other", "V0001", ["trainingJobName"], None),
        ("half\0", "V0001", ["trainingJobName"], None),
        ("iris", "V0002", ["versionName"], "V0001"),
        ("iris", "V0000", ["versionName"], "V0001"),
        ("iris", "1", ["versionName"], "V0001"),
        ("iris", "V٣", ["versionName"], "V0001"),
        ("iris", "V99999999999", ["versionName"], "V0001"),
        ("iris", "", ["versionName"], "V0001"),
    ):
        (error,) = await refused(api, "reportTrainingJobVersion", trainingJobName=job, versionName=version)
        assert (error["code"], error["path"]) == ("NOT_FOUND", path), version
        assert hint is None or hint in error["hint"]


async def test_a_report_on_another_revision_is_refused_with_both(api: Api) -> None:
    await record(api, status="RUNNING")
    await report(api, "V0001", statusMessage="half", expectedRevision=1)
    (error,) = await refused(
        api,
        "reportTrainingJobVersion",
        trainingJobName="iris",
        versionName="V0001",
        status="COMPLETED",
        expectedRevision=1,
    )
    assert (error["code"], error["path"]) == ("CONFLICT", ["expectedRevision"])
    assert (error["expectedRevision"], error["actualRevision"]) == (1, 2)


async def test_of_two_reports_on_one_revision_one_is_done(api: Api) -> None:
    await record(api, status="RUNNING")
    fields = {"trainingJobName": "iris", "versionName": "V0001", "expectedRevision": 1}
    payloads = await asyncio.gather(
        *(api.mutate("reportTrainingJobVersion", "__typename", statusMessage=text, **fields) for text in "abcd")
    )
    assert sorted([error["code"] for error in payload["errors"]] for payload in payloads) == [[]] + [["CONFLICT"]] * 3
    assert await api.pool.fetchval("SELECT revision FROM training_job_version") == 2
